-- shared_put is put on a server that is shared with nodes of the original. It takes and returns the same.
local items, at, ks = {}, 3, {}
for i = 1, tonumber(ARGV[2]) do
  local it = {k = ARGV[at], origin = ARGV[at + 1], id = ARGV[at + 2], dest = ARGV[at + 3], flags = tonumber(ARGV[at + 4]),
    meta = ARGV[at + 5], text = ARGV[at + 6], to = {}}
  local n = tonumber(ARGV[at + 7])
  at = at + 8
  for j = 1, n do
    it.to[j] = {P = KEYS[tonumber(ARGV[at])], key = KEYS[tonumber(ARGV[at + 1])]}
    load(it.to[j].P)
    at = at + 2
  end
  if it.k ~= '' then ks[#ks + 1] = it.k end
  items[i] = it
end
recall(ks)
local statuses, aging, lists, origins = {}, {}, {}, {}

local function tellOrigin(it, r)
  local O = physical(it.origin)
  if not lists[O] then lists[O] = {}; origins[#origins + 1] = O end
  table.insert(lists[O], r)
end

-- store keeps a message for one channel and pushes it: '1', '3' if the inbox is full, '0' if a key of another type is in
-- the way.
local function store(it, to)
  local P = to.P
  local a, b = pcall_('LLEN', P), pcall_('LLEN', P .. ':wait')
  if type(a) == 'table' or type(b) == 'table' then return '0' end
  if a + b - load(P).g >= MESSAGES or #it.text > BYTES then return '3' end
  local e = it.text
  if it.k ~= '' then
    e = to.key
    local m = pack('>I7', 1) .. it.meta
    local n = pcall_('RPUSH', e, it.text, it.origin)
    if type(n) == 'table' and not string.find(n.err, 'WRONGTYPE', 1, true) then return nil, n end
    if n ~= 2 then
      if type(n) == 'number' then call('LTRIM', e, 0, n - 3) end
      local k = string.gsub(it.k, '.', function(c) return string.format('%02x', byte(c)) end)
      e = P .. '::m' .. k
      call('DEL', e)
      call('RPUSH', e, it.text, it.origin)
      call('HSET', P .. '::same', k, it.id)
      local s = load(P)
      s.x = s.x + 1
      m = sub(m, 1, 7) .. string.char(it.flags + IDENT) .. sub(m, 9) .. pack('>Hc0', #it.id, it.id)
    end
    call('PEXPIRE', e, NET)
    call('HSET', P .. '::meta', e, m .. pack('>I6', now))
    call('PEXPIRE', P .. '::meta', NET)
    deadline(P, load(P), now + AGE)
    touched[P] = true
  end
  local n = pcall_('LPUSH', P, e)
  if type(n) == 'table' then return nil, n end
  call('SPUBLISH', P .. '::wake', '')
  return '1'
end

for i, it in ipairs(items) do
  local st = {}
  local r = it.k ~= '' and records[it.k]
  if r and (r.p > 0 or now - r.t < WINDOW) then
    for j = 1, #it.to do st[j] = '2' end
    if it.origin ~= '' then
      said(it.k, r, function(outcome, time, by) tellOrigin(it, {time, outcome, by, it.id, has(r.f, NUMBER), it.dest}) end)
    end
  else
    local stored, full = 0, {}
    for j, to in ipairs(it.to) do
      local err
      st[j], err = store(it, to)
      if err then return err end
      if st[j] == '1' then stored = stored + 1 elseif st[j] == '3' then full[#full + 1] = channel(to.P) end
    end
    if it.k ~= '' and stored > 0 then
      r = record(it.k, has(it.flags, NUMBER), stored)
      if it.origin ~= '' and not has(it.flags, NORECEIPT) then
        for _, by in ipairs(full) do
          note(r, DROPPED, now, by)
          tellOrigin(it, {now, DROPPED, by, it.id, has(it.flags, NUMBER), it.dest})
        end
      end
      records[it.k] = r
      changed[it.k] = true
      aging[#aging + 1] = pack('>I6', now) .. it.k
    end
  end
  statuses[i] = table.concat(st)
end
for _, O in ipairs(origins) do append(O, lists[O]) end
remember()
local _, capped
if #aging > 0 then _, capped = age(aging) end
save()
return {statuses, {}, {}, capped and string.format('%.0f', capped) or ''}
