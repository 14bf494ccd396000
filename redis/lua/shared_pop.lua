-- shared_pop is pop, or with CHECK check, on a server that is shared with nodes of the original. It takes and returns the
-- same.
local P, W = KEYS[1], KEYS[2]
local lp = #P
local by = ARGV[2]
local s = load(P)
if not CHECK and s.due > 1 and now >= s.due then return {{}, {}, {}, 1} end
call('LTRIM', W, 0, -1) -- as in lose: what follows is not refused at the memory limit
local list = waiting(P, W, s)
local bySeq, byElement = {}, {}
for _, w in ipairs(list) do bySeq[w.seq] = w; byElement[w.e] = w end

-- named returns the message with key e if it matches.
local function named(e, id, from, dest)
  local w = byElement[e]
  if w and w.gone then return nil end
  local m = w and w.meta or call('HGET', P .. '::meta', e)
  local text, origin
  text, origin, m = read(e, P, m)
  if not text then return nil end
  local _, f, d = fields(e, origin, m, byte(m, 8), P, lp)
  if from ~= '' and f ~= from or dest ~= '' and d ~= dest then return nil end
  if not w then
    w = {e = e, k = 'm', seq = nextseq(s), meta = m} -- not handed out: its number will never be seen again
    byElement[e] = w
    touched[P] = true
  end
  return w
end

local numbers, found = {}, {}
for i = 1, tonumber(ARGV[3]) do
  local a = 4 + (i - 1) * 5
  local seq, w = tonumber(ARGV[a]), nil
  if seq > 0 then
    w = bySeq[seq]
  elseif ARGV[a + 1] ~= '' then
    w = named(P .. ':' .. ARGV[a + 2], ARGV[a + 1], ARGV[a + 3], ARGV[a + 4])
    if s.x > 0 then
      local same = call('HGETALL', P .. '::same')
      for j = 1, #same, 2 do
        if same[j + 1] == ARGV[a + 1] then
          local o = named(P .. '::m' .. same[j], ARGV[a + 1], ARGV[a + 3], ARGV[a + 4])
          if o and (not w or o.seq < w.seq) then w = o end
        end
      end
    end
  end
  if w and not w.gone then
    w.gone = true
    found[#found + 1] = w
    numbers[i] = w.seq
  else
    numbers[i] = 0
  end
end
if CHECK then
  local w = found[1]
  save()
  return w and (w.k == 'm' or w.k == 't') and 1 or 0
end
for _, w in ipairs(found) do
  if w.k == 'm' then
    local text, origin, m = read(w.e, P, w.meta)
    if text then
      local _, flags, _, k = unp(META, m)
      local id, from, dest = fields(w.e, origin, m, flags, P, lp)
      told[#told + 1] = {k = k, origin = origin, silent = origin == '' or has(flags, NORECEIPT), outcome = DELIVERED, by = by,
        id = id, number = has(flags, NUMBER), dest = dest, time = now, P = P, seq = w.seq}
    end
  end
end
ready()
for _, w in ipairs(found) do
  if call('LREM', W, -1, w.e) == 0 then call('LREM', P, -1, w.e) end
  if w.k == 'g' then s.g = math.max(0, s.g - 1) end
  if w.k == 'm' then
    call('DEL', w.e)
    call('HDEL', P .. '::meta', w.e)
    if sub(w.e, lp + 1, lp + 3) == '::m' and call('HDEL', P .. '::same', sub(w.e, lp + 4)) == 1 then s.x = math.max(0, s.x - 1) end
  end
end
touched[P] = true
tell()
save()
return {numbers, {}, {}, 0}
