-- pop takes what keys name off an inbox and tells the origins.
-- KEYS: the list, its wait list, its state. ARGV: if all keys have numbers: these in one text, seven bytes each; from
-- '::r' to the id, the receipt of a message whose id is a text and whose dest the channel, with the number that is right unless
-- the inbox of its origin has a larger one; what the record of a message says of its receipt; and, if the node has noted what all
-- of several are, what joinHanded spells. Else: now, by, number of keys, then for each its number (0: by id), id, the id as in a
-- key, from, dest.
-- Returns 1 if all were found and nothing else is to be done, else {numbers, over, out, due}: for each key the number of
-- what was taken or 0; the inboxes that hold too many receipts; on a cluster what was put into the list out; 1 if the
-- inbox must be looked through for what has expired first.
if s.due > 0 and now >= s.due then return {{}, {}, {}, 1} end
local numbers, found = {}, {}
for i = 1, n do
  local p = resolve(i)
  if p and not taken[p.e] then
    taken[p.e] = true
    found[#found + 1] = p
    numbers[i] = p.seq
  else
    numbers[i] = 0
  end
end
if #found == 0 then return {numbers, {}, {}, 0} end

local dels, unsame, oldest = {}, {}, 0
for _, p in ipairs(found) do
  if p.k == 'm' then
    local seq, flags, size, k = unp(META, p.m)
    dels[#dels + 1] = p.e
    s.m, s.b = s.m - 1, s.b - size
    if sub(p.e, lp + 1, lp + 3) == '::m' then unsame[#unsame + 1] = sub(p.e, lp + 4) end
    local id, from, dest = fields(p.e, p.origin, p.m, flags, P, lp)
    told[#told + 1] = {k = k, origin = p.origin, silent = p.origin == '' or has(flags, NORECEIPT), outcome = DELIVERED, by = by,
      id = id, number = has(flags, NUMBER), dest = dest, time = now, P = P, seq = seq}
  elseif p.k == 't' then
    s.m, s.b = s.m - 1, s.b - unp('>I4', p.e, lp + 12)
  elseif p.k == 'r' then
    s.r = s.r - 1
  else
    s.g = s.g - 1
  end
  if p.list == W and p.back and p.back < #tail then oldest = oldest + 1 end
end

ready()

-- What are just the oldest elements of the wait list leave at once; others one by one, in a long list by a mark in
-- their place, which readers pass over. It has the number, so that search finds its way.
local cut = 0
if oldest == #found then
  local there = {}
  for _, p in ipairs(found) do there[p.back] = true end
  while there[cut] do cut = cut + 1 end
  if cut < #found then cut = 0 end
end
if cut > 0 then
  call('LTRIM', W, 0, -cut - 1)
else
  local lens = {[W] = call('LLEN', W), [P] = call('LLEN', P)}
  for _, p in ipairs(found) do
    local len = lens[p.list]
    if len <= 1024 then
      call('LREM', p.list, -1, p.e)
    else -- places in a long list do not move: what leaves is marked
      local back = p.back
      if not back then
        local upto, exact = search(p.list, len, p.seq, P, lp)
        back = exact and upto - 1
      end
      if back then call('LSET', p.list, -1 - back, P .. '::x' .. pack('>I7', p.seq)) else call('LREM', p.list, -1, p.e) end
      s.t = s.t + 1
    end
  end
end
if #dels > 0 then call('DEL', unpack(dels)) end
if #unsame > 0 then
  call('HDEL', P .. '::same', unpack(unsame))
  s.x = math.max(0, s.x - #unsame)
end
touched[P] = true
local out = tell()
if s.t > 0 then -- marks at the old ends go
  for _, L in ipairs({W, P}) do
    local old = call('LRANGE', L, -32, -1)
    local i = #old
    while i > 0 and sub(old[i], 1, lp + 3) == P .. '::x' do i = i - 1 end
    if i < #old then
      call('LTRIM', L, 0, -(#old - i) - 1)
      s.t = s.t - (#old - i)
    end
  end
end
save()
return {numbers, over, out or {}, 0}
