-- put_one puts messages with ids into one inbox, if nothing about that is special; else it changes nothing and returns 0,
-- and put does it. Most puts are such, and this is what they cost: it defines no functions and makes few strings.
-- KEYS: the list, its state, the messages' keys. ARGV: now, bytes of all texts, then for each message its entry in the
-- aging list (time and k), its record, origin, meta without the number, text.
-- Returns 2 if old ids have to be looked through, else 1.
local call, sub, pack = redis.call, string.sub, struct.pack
local P = KEYS[1]
local raw = call('GET', KEYS[2])
if not raw or #raw ~= 42 then return 0 end
local n, h, m, b, r, due, t, x, g = struct.unpack('>I7I7I4I5I4I6I3I3I3', raw)
local now, count, bytes = tonumber(ARGV[1]), #KEYS - 2, tonumber(ARGV[2])
if due <= now or due > now + AGE or m + count > MESSAGES or b + bytes > BYTES then return 0 end
local old
if count == 1 then
  local k = sub(ARGV[3], 7)
  if call('HSETNX', KNOWN, k, ARGV[4]) == 0 then return 0 end
  local seq = now * 2048
  if seq <= n then seq = n + 2 end
  local meta = pack('>I7', seq) .. ARGV[6]
  local len = redis.pcall('RPUSH', KEYS[3], ARGV[7], ARGV[5], meta)
  local pushed = len == 3 and redis.pcall('LPUSH', P, KEYS[3])
  if type(pushed) ~= 'number' then -- something is in the way: as if nothing had been
    call('HDEL', KNOWN, k)
    if len == 3 then
      call('DEL', KEYS[3])
    elseif type(len) == 'number' then
      call('LTRIM', KEYS[3], '0', tostring(len - 4))
    end
    return 0
  end
  call('PEXPIRE', KEYS[3], NETS)
  old = call('RPUSH', AGING, ARGV[3])
  local wake = ''
  if bytes <= 4096 then
    local suffix, origin = sub(KEYS[3], #P + 1), ARGV[5]
    wake = pack('>I7BHc0Hc0Hc0', n, 109, #suffix, suffix, #origin, origin, #meta, meta) .. ARGV[7]
  end
  call('SPUBLISH', P .. '::wake', wake)
  n = seq
else
  local keys, aging, set, ks = {}, {}, {}, {}
  for i = 1, count do
    local a = 5 * i - 2
    local k = sub(ARGV[a], 7)
    keys[i], aging[i], ks[i], set[2 * i - 1], set[2 * i] = KEYS[i + 2], ARGV[a], k, k, ARGV[a + 1]
  end
  for _, v in ipairs(call('HMGET', KNOWN, unpack(ks))) do
    if v then return 0 end
  end
  local seq, made, fine = now * 2048 - 2, 0, true
  if seq < n then seq = n end
  for i = 1, count do
    local a = 5 * i - 2
    seq = seq + 2
    local len = redis.pcall('RPUSH', keys[i], ARGV[a + 4], ARGV[a + 2], pack('>I7', seq) .. ARGV[a + 3])
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
  n = seq
  call('HSET', KNOWN, unpack(set))
  old = call('RPUSH', AGING, unpack(aging))
  call('SPUBLISH', P .. '::wake', '')
end
call('SET', KEYS[2], pack('>I7I7I4I5I4I6I3I3I3', n, h, m + count, b + bytes, r, due, t, x, g))
if old > CAP or old % 512 < count then return 2 end
return 1
