-- receive_new appends receipts that wait in the list out of another bucket to the inboxes of their origins, where nothing about
-- that is special; else it changes nothing and returns 0, and receive does it. What has its marker was appended before.
-- KEYS: known of the bucket, then for each receipt its marker, and the list of its origin and its state. ARGV: for each k, what
-- the record says of the receipt, and the receipt from '::r' on, with the number that is right unless the inbox has a larger one.
-- Returns 1.
local KEYS, ARGV, call, pcall, sub, pack, unp = KEYS, ARGV, redis.call, redis.pcall, string.sub, struct.pack, struct.unpack
local n, ks, origins = #ARGV / 3, {}, {}
for i = 1, n do
  ks[i] = ARGV[3 * i - 2]
  local O = KEYS[3 * i]
  local o = origins[O]
  if not o then
    local S = KEYS[3 * i + 1]
    local raw = pcall('GET', S)
    if not raw or #raw ~= 42 then return 0 end
    local r, due = unp('>I4I6', raw, 24)
    if due == 0 or due > unp('>I6', ARGV[3 * i - 1], 2) + RAGE then return 0 end
    o = {S = S, raw = raw, last = unp('>I7', raw), r = r, n = 0, elements = {}, wake = ''}
    origins[O] = o
  end
  o.r = o.r + 1
  if o.r > RECEIPTS then return 0 end
end
local records, got = {}, call('HMGET', KEYS[1], unpack(ks))
for i = 1, n do
  local v, k = got[i], ks[i]
  if not v or #v < 9 or records[k] then return 0 end
  local at, f, p = unp('>I6BH', v)
  if f >= 8 or f % 4 >= 2 or p == 0 or p == 1 and unp('>I6', ARGV[3 * i - 1], 2) - at >= WINDOW then return 0 end
  records[k] = pack('>I6BH', at, f, p - 1) .. sub(v, 10) .. ARGV[3 * i - 1]
end
local set = {}
for i = 1, n do
  local a, O = 3 * i, KEYS[3 * i]
  local o = origins[O]
  if call('SET', KEYS[a - 1], '', 'NX', 'EX', '600') then
    set[#set + 1] = ks[i]
    set[#set + 1] = records[ks[i]]
    local tail = ARGV[a]
    local seq = unp('>I7', tail, 4)
    if seq <= o.last then
      seq = o.last + 2
      tail = '::r' .. pack('>I7', seq) .. sub(tail, 11)
    end
    o.n, o.last = o.n + 1, seq
    o.elements[o.n] = O .. tail
    o.wake = sub(o.raw, 1, 7) .. tail
  end
end
if #set > 0 then call('HSET', KEYS[1], unpack(set)) end
for O, o in pairs(origins) do
  if o.n > 0 and type(pcall('LPUSH', O, unpack(o.elements))) == 'number' then
    local raw = o.raw
    call('SET', o.S, pack('>I7', o.last) .. sub(raw, 8, 23) .. pack('>I4', unp('>I4', raw, 24) + o.n) .. sub(raw, 28))
    call('SPUBLISH', O .. '::wake', o.n == 1 and o.wake or '')
  end
end
return 1
