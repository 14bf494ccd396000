-- put appends items to inboxes of this server, or of one bucket of a cluster.
-- ARGV: now, number of items, then for each item k ('' without an id), origin, id, dest, flags, its meta without the
-- number, text, number of channels, and for each channel the indexes in KEYS of its list and of the message's key.
-- Returns {statuses, wanting, over, forgot}: a text of one digit a channel for each item that was dealt with; {'due', P...} if
-- those, and perhaps more, must be looked through for what has expired first, or {'room', P, messages, bytes} if the next
-- item needs room in P first; the inboxes that hold too many receipts; and when the last id that the cap made go had been
-- accepted.
local items, at = {}, 3
local ks, due = {}, {}
for i = 1, tonumber(ARGV[2]) do
  local it = {k = ARGV[at], origin = ARGV[at + 1], id = ARGV[at + 2], dest = ARGV[at + 3], flags = tonumber(ARGV[at + 4]),
    meta = ARGV[at + 5], text = ARGV[at + 6], to = {}}
  local n = tonumber(ARGV[at + 7])
  at = at + 8
  for j = 1, n do
    local P = KEYS[tonumber(ARGV[at])]
    it.to[j] = {P = P, key = KEYS[tonumber(ARGV[at + 1])]}
    local s = load(P)
    if s.due > 0 and now >= s.due and not due[P] and #due < 1000 then due[P] = true; due[#due + 1] = P end
    at = at + 2
  end
  if it.k ~= '' then
    it.mark = it.k
    if CLUSTER then it.mark = it.k .. it.to[1].P end
    ks[#ks + 1] = it.mark
  end
  items[i] = it
end
if #due > 0 then return {{}, {'due', unpack(due)}, {}, ''} end
recall(ks)

local pushes, order, aging, statuses, wanting = {}, {}, {}, {}, {}

local function alive(r) return r and (r.p > 0 or now - r.t < WINDOW) end

-- receipts returns the list of those that the origin of an item gets, when everything is put.
local told_to = {}
local function receipts(it)
  local O = physical(it.origin)
  local list = told_to[O]
  if not list then list = {}; told_to[O] = list; told_to[#told_to + 1] = O end
  return list
end

-- repeats tells the origin once more what it was told of a message.
local function repeats(it, r)
  if it.origin == '' or CLUSTER then return end
  local list = nil
  said(it.mark, r, function(outcome, time, by)
    list = list or receipts(it)
    list[#list + 1] = {time, outcome, by, it.id, has(r.f, NUMBER), it.dest}
  end)
end

-- room returns 'ok', 'full' or 'drop' for a message of size bytes in s.
local function room(s, size)
  if size > BYTES then return 'full' end
  if s.m < MESSAGES and s.b + size <= BYTES then return 'ok' end
  return DROP and 'drop' or 'full'
end

-- ask says how much room the items from i on need in P, up to one that is known: its receipts so far come first.
local function ask(i, P)
  local messages, bytes, seen = 0, 0, {}
  for j = i, #items do
    local it = items[j]
    if it.mark then
      if seen[it.mark] or alive(records[it.mark]) then break end
      seen[it.mark] = true
    end
    for _, to in ipairs(it.to) do
      if to.P == P and #it.text <= BYTES then messages, bytes = messages + 1, bytes + #it.text end
    end
  end
  wanting = {'room', P, string.format('%.0f', math.min(messages, MESSAGES)), string.format('%.0f', math.min(bytes, BYTES))}
end

-- store keeps the message for one channel and returns the element for its list.
local function store(it, to, s, m)
  if it.k == '' then return to.P .. '::t' .. m .. it.text end
  local n = pcall_('RPUSH', to.key, it.text, it.origin, m)
  if n == 3 then
    call('PEXPIRE', to.key, NETS)
    to.stored = to.key
    return to.key
  end
  if type(n) == 'table' and not string.find(n.err, 'WRONGTYPE', 1, true) then return nil, n end
  if type(n) == 'number' then call('LTRIM', to.key, 0, n - 4) end
  -- Another sender's message of this id waits there, or something that is not ours.
  local key = to.P .. '::m' .. it.k
  m = sub(m, 1, 7) .. string.char(it.flags + IDENT) .. sub(m, 9) .. pack('>Hc0', #it.id, it.id)
  call('DEL', key)
  call('RPUSH', key, it.text, it.origin, m)
  call('PEXPIRE', key, NETS)
  call('HSET', to.P .. '::same', it.k, it.id)
  s.x = s.x + 1
  to.stored, to.same = key, true
  to.meta = m
  return key
end

for i, it in ipairs(items) do
  local r = it.mark and records[it.mark]
  local st = {}
  if alive(r) then
    for j = 1, #it.to do st[j] = '2' end
    repeats(it, r)
  else
    local size, stored, full = #it.text, 0, 0
    for j, to in ipairs(it.to) do
      to.room = room(load(to.P), size)
      if to.room == 'drop' then ask(i, to.P); break end
      if to.room == 'ok' then stored = stored + 1 else full = full + 1 end
    end
    if wanting[1] then break end
    local tells = full > 0 and stored > 0 and it.k ~= '' and it.origin ~= '' and not has(it.flags, NORECEIPT) and not CLUSTER
    local dropped = {}
    for j, to in ipairs(it.to) do
      if to.room == 'full' then
        st[j] = '3'
        if tells then
          local list, by = receipts(it), channel(to.P)
          list[#list + 1] = {now, DROPPED, by, it.id, has(it.flags, NUMBER), it.dest}
          dropped[#dropped + 1] = by
        end
      else
        local s = load(to.P)
        local prev, known = s.n, s.known
        local m = pack('>I7', nextseq(s)) .. it.meta
        local e, err = store(it, to, s, m)
        if err then return err end -- nothing was written before: an OOM, a replica
        st[j] = '1'
        s.m, s.b, s.known = s.m + 1, s.b + size, true
        touched[to.P] = true
        local push = pushes[to.P]
        if not push then push = {elements = {}, of = {}}; pushes[to.P] = push; order[#order + 1] = to.P end
        push.elements[#push.elements + 1] = e
        push.of[#push.of + 1] = {st = st, j = j, to = to, size = size, it = it}
        push.wake = ''
        if #push.elements == 1 and known and size <= 4096 then
          if it.k == '' then push.wake = pack('>I7', prev) .. sub(e, #to.P + 1)
          else
            m = to.meta or m
            local suffix = sub(e, #to.P + 1)
            push.wake = pack('>I7BHc0Hc0Hc0', prev, 109, #suffix, suffix, #it.origin, it.origin, #m, m) .. it.text
          end
        end
      end
    end
    if it.mark and stored > 0 then
      r = record(it.mark, has(it.flags, NUMBER), stored)
      for _, by in ipairs(dropped) do note(r, DROPPED, now, by) end
      records[it.mark] = r
      changed[it.mark] = true
      aging[#aging + 1] = pack('>I6', now) .. it.mark
    end
  end
  statuses[i] = st
end

for _, P in ipairs(order) do
  local push = pushes[P]
  local n = pcall_('LPUSH', P, unpack(push.elements))
  if type(n) == 'table' then -- a key of another type is in the way
    local s = load(P)
    for _, o in ipairs(push.of) do
      o.st[o.j] = '0'
      s.m, s.b = s.m - 1, s.b - o.size
      if o.to.stored then call('DEL', o.to.stored) end
      local r = o.it.mark and records[o.it.mark]
      if r then
        r.p = r.p - 1
        if r.p == 0 and r.told == '' and not r.apart[1] then r.f = PASTWINDOW end -- forgotten at once
      end
    end
  else
    deadline(P, load(P), now + AGE)
    call('SPUBLISH', P .. '::wake', push.wake)
  end
end
for _, O in ipairs(told_to) do append(O, told_to[O]) end
remember()
local _, capped
if #aging > 0 then _, capped = age(aging) end
save()
local answer = {}
for i, st in ipairs(statuses) do answer[i] = table.concat(st) end
return {answer, wanting, over, capped and string.format('%.0f', capped) or ''}
