-- put_same puts several messages with ids into one inbox, if nothing about that is special; else it changes nothing and
-- returns 0, and put does it.
-- KEYS: the list, its state, the messages' keys. ARGV: now, bytes of all texts, origin of the first, then for each message
-- its meta, whose number is right unless the inbox has a larger one, and text; then, if they differ, the origins of all.
-- Returns 2 if old ids have to be looked through, else 1.
local call, sub, byte, pack = redis.call, string.sub, string.byte, struct.pack
local P = KEYS[1]
local raw = call('GET', KEYS[2])
if not raw or #raw ~= 42 then return 0 end
local n, h, m, b, r, due, _, _, g = struct.unpack('>I7I7I4I5I4I6I3I3I3', raw)
local now, count, bytes = tonumber(ARGV[1]), #KEYS - 2, tonumber(ARGV[2])
if due <= now or due > now + AGE or m + count > MESSAGES or b + bytes > BYTES then return 0 end
local keys, aging, set, ks = {}, {}, {}, {}
local time = pack('>I6', now)
local text, number = time .. '\0\0\1', time .. '\1\0\1' -- the records of ids that are texts, and numbers
for i = 1, count do
  local meta = ARGV[2 * i + 2]
  local k = sub(meta, 13, 24)
  if CLUSTER then k = k .. P end
  keys[i], aging[i], ks[i] = KEYS[i + 2], time .. k, k
  set[2 * i - 1], set[2 * i] = k, byte(meta, 8) % 2 == 1 and number or text
end
for _, v in ipairs(call('HMGET', KNOWN, unpack(ks))) do
  if v then return 0 end
end
local seq, made, fine = now * 2048 - 2, 0, true
local spelled = seq >= n
if not spelled then seq = n end
for i = 1, count do
  local a = 2 * i + 2
  local meta = ARGV[a]
  seq = seq + 2
  if not spelled then meta = pack('>I7', seq) .. sub(meta, 8) end
  local len = redis.pcall('RPUSH', keys[i], ARGV[a + 1], ARGV[2 * count + 3 + i] or ARGV[3], meta)
  if len ~= 3 then
    if type(len) == 'number' then call('LTRIM', keys[i], '0', tostring(len - 4)) end
    fine = false
    break
  end
  made = i
end
if not fine or type(redis.pcall('LPUSH', P, unpack(keys))) ~= 'number' then -- something is in the way: as if nothing had been
  if made > 0 then call('DEL', unpack(keys, 1, made)) end
  return 0
end
for i = 1, count do call('PEXPIRE', keys[i], NETS) end
call('HSET', KNOWN, unpack(set))
local old = call('RPUSH', AGING, unpack(aging))
call('SPUBLISH', P .. '::wake', '')
local state = pack('>I7I7I4I5', seq, h, m + count, b + bytes)
if CLUSTER or m + r + g == 0 then -- the state of what was empty may be about to expire
  call('SET', KEYS[2], state .. sub(raw, 24))
else
  call('SETRANGE', KEYS[2], '0', state)
end
if old > CAP or old % 512 < count then return 2 end
return 1
