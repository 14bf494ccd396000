-- lose removes by policy, oldest first, and leaves a gap in the place of what it removed.
-- KEYS: the list, its wait list, its state. ARGV: now, what: 'expire' what is too old, 'room' messages until so many
-- (third) of so many bytes (fourth) fit, 'trim' receipts past their bound.
-- Returns {more, over, out}: 1 if it must be called again; the rest as pop.
local P, W = KEYS[1], KEYS[2]
local lp = #P
local what, messages, bytes = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local s = load(P)
local lost, dels, unsame, due, stop, more = 0, {}, {}, nil, false, 0
local calm = {m = s.m <= 0, r = s.r <= 0} -- of which kind nothing more can be found

-- verdict says as what an entry of kind k goes: 'dropped', 'expired', 'receipts', or nil.
local function verdict(k, seq)
  if what == 'room' then
    if k == 'r' then return nil end
    if s.m + messages > MESSAGES or s.b + bytes > BYTES then return 'dropped' end
    stop = true
    return nil
  elseif what == 'trim' then
    if k ~= 'r' then return nil end
    if s.r > RECEIPTS then return 'receipts' end
    stop = true
    return nil
  end
  local age = k == 'r' and RAGE or AGE
  local at = math.floor(seq / 2048) + age
  if at <= now then
    if k == 'r' then return 'receipts' end
    return 'expired'
  end
  if not due or at < due then due = at end
  calm[k == 'r' and 'r' or 'm'] = true
  if calm.m and calm.r then stop = true end
  return nil
end

-- leave takes the entry e out of the counts and notes what its origin is told.
local function leave(e, k, seq, origin, m, why)
  if k == 'r' then
    s.r = s.r - 1
  elseif k == 't' then
    s.m, s.b = s.m - 1, s.b - unp('>I4', e, lp + 12)
  else
    local _, flags, size, key = unp(META, m)
    s.m, s.b = s.m - 1, s.b - size
    dels[#dels + 1] = e
    if sub(e, lp + 1, lp + 3) == '::m' then unsame[#unsame + 1] = sub(e, lp + 4) end
    local id, _, dest = fields(e, origin, m, flags, P, lp)
    told[#told + 1] = {k = key, origin = origin, silent = origin == '' or has(flags, NORECEIPT), by = channel(P), id = id,
      outcome = why == 'dropped' and DROPPED or EXPIRED, number = has(flags, NUMBER), dest = dest, time = now, P = P, seq = seq}
  end
end

-- At the memory limit the server refuses what adds something if a script begins with it. This adds nothing, and what follows
-- is let pass.
pcall_('LTRIM', P, 0, -1)
local changes = {}
for _, L in ipairs({W, P}) do
  local kept, walked, changed_, open = {}, 0, false, nil -- open: a gap that ends kept, and may take more
  while not stop do
    local chunk = pcall_('LRANGE', L, -walked - 64, -walked - 1)
    if not mine(chunk) or #chunk == 0 then break end
    for i = #chunk, 1, -1 do
      local e = chunk[i]
      local k = kind(e, P, lp)
      local seq, origin, m
      if k == 'm' then
        origin, m = meta(e)
        seq = m and unp('>I7', m)
      elseif k and k ~= 'x' and #e >= lp + 10 then
        seq = unp('>I7', e, lp + 4)
      end
      local gap = k == 'g' and seq and {seq, unp('>I4I4I4', e, lp + 11)}
      local why
      if seq and not gap and not stop then why = verdict(k, seq) end
      if stop and not (gap and open and open.fresh) then break end
      walked = walked + 1
      if not seq then
        changed_ = true -- trash, or a mark
        s.t = s.t - 1
      elseif why then
        changed_ = true
        lost = lost + 1
        leave(e, k, seq, origin, m, why)
        if not open then
          open = {0, 0, 0, 0}
          kept[#kept + 1] = open
          s.g = s.g + 1
        end
        open.fresh = true
        open[1] = seq - 1
        local c = why == 'dropped' and 2 or why == 'expired' and 3 or 4
        open[c] = open[c] + 1
        if lost >= 256 then stop = true; more = 1 end
      elseif gap then
        if open then -- two that meet are one
          changed_ = true
          s.g = s.g - 1
          open[1] = seq
          for c = 2, 4 do open[c] = open[c] + gap[c] end
        else
          open = gap
          kept[#kept + 1] = open
        end
      else
        open = nil
        kept[#kept + 1] = e
      end
      if stop and not (open and open.fresh) then break end
    end
  end
  if changed_ then changes[#changes + 1] = {L, kept, walked} end
end

ready()
for _, c in ipairs(changes) do
  local L, kept, walked = c[1], c[2], c[3]
  call('LTRIM', L, 0, -walked - 1)
  local i = #kept
  while i > 0 do -- newest first: each goes behind, to the old end
    local part = {}
    while i > 0 and #part < 1000 do
      local e = kept[i]
      if type(e) == 'table' then e = P .. '::g' .. pack('>I7I4I4I4', e[1], e[2], e[3], e[4]) end
      part[#part + 1] = e
      i = i - 1
    end
    call('RPUSH', L, unpack(part))
  end
end
if #dels > 0 then call('DEL', unpack(dels)) end
if #unsame > 0 then
  call('HDEL', P .. '::same', unpack(unsame))
  s.x = s.x - #unsame
end
if what == 'expire' and more == 0 then
  if not stop then -- all was seen
    if not calm.m then s.m, s.b = 0, 0 end
    if not calm.r then s.r = 0 end
  end
  s.due = due or 0
  if due then call('ZADD', DUE, due, P) else call('ZREM', DUE, P) end
end
touched[P] = true
local out = tell()
save()
if lost > 0 then call('SPUBLISH', P .. '::wake', '') end
return {more, over, out or {}}
