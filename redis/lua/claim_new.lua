-- claim_new begins to put messages on a cluster if none of them is known; else it changes nothing and returns 0, and claim does
-- it. KEYS: known and aging of the bucket of the origins. ARGV: for each message its element of the aging list and its record.
-- Returns 2 if old ids have to be looked through, else 1.
local KEYS, ARGV, call = KEYS, ARGV, redis.call
local known, aging, n = KEYS[1], KEYS[2], #ARGV / 2
local old
if n == 1 then
  if call('HSETNX', known, string.sub(ARGV[1], 7), ARGV[2]) == 0 then return 0 end
  old = call('RPUSH', aging, ARGV[1])
else
  local ks, set, elements = {}, {}, {}
  for i = 1, n do
    local e = ARGV[2 * i - 1]
    local k = string.sub(e, 7)
    ks[i], elements[i], set[2 * i - 1], set[2 * i] = k, e, k, ARGV[2 * i]
  end
  for _, v in ipairs(call('HMGET', known, unpack(ks))) do
    if v then return 0 end
  end
  call('HSET', known, unpack(set))
  old = call('RPUSH', aging, unpack(elements))
end
if old > CAP or old % 512 < n then return 2 end
return 1
