-- put_one puts messages with ids, each into one inbox, where nothing about that is special; else it changes nothing and says
-- 0, and put does it. Most puts are such, and this is what they cost: few strings are made, for each is hashed in full, and
-- what can be spelled beforehand comes spelled. Nothing that is wrong with one inbox is an error, which would end all.
-- KEYS: for each message the list and the message's key. ARGV: for each the element of the aging list, the record, origin,
-- what a wake-up says between the number before and the text, and the text. The second but last ends with meta, whose number
-- is right unless the inbox has a larger one.
-- Returns for each 2 if old ids have to be looked through, else 1.
local KEYS, ARGV, call, pcall, sub, pack, unp, type = KEYS, ARGV, redis.call, redis.pcall, string.sub, struct.pack, struct.unpack, type

local function put(P, key, aging, record, origin, entry, text)
  local S = P .. '::state'
  local raw = pcall('GET', S)
  if not raw or #raw ~= 42 then return 0 end
  local n, h, m, b, r, due, _, _, g = unp('>I7I7I4I5I4I6I3I3I3', raw)
  local now, size = unp('>I6', aging), #text
  if due <= now or due > now + AGE or m >= MESSAGES or b + size > BYTES then return 0 end
  local k = sub(aging, 7)
  if call('HSETNX', KNOWN, k, record) == 0 then return 0 end
  local seq, at = now * 2048, 8 + #key - #P + #origin
  if seq <= n then
    seq = n + 2
    entry = sub(entry, 1, at - 1) .. pack('>I7', seq) .. sub(entry, at + 7)
  end
  local len = pcall('RPUSH', key, text, origin, sub(entry, at))
  local pushed = len == 3 and pcall('LPUSH', P, key)
  if type(pushed) ~= 'number' then -- something is in the way: as if nothing had been
    call('HDEL', KNOWN, k)
    if len == 3 then
      call('DEL', key)
    elseif type(len) == 'number' then
      call('LTRIM', key, '0', tostring(len - 4))
    end
    return 0
  end
  call('PEXPIRE', key, NETS)
  local old = call('RPUSH', AGING, aging)
  call('SPUBLISH', P .. '::wake', size <= 4096 and sub(raw, 1, 7) .. entry .. text or '')
  local state = pack('>I7I7I4I5', seq, h, m + 1, b + size)
  if CLUSTER or m + r + g == 0 then -- the state of what was empty may be about to expire
    call('SET', S, state .. sub(raw, 24))
  else
    call('SETRANGE', S, '0', state)
  end
  if old > CAP or old % 512 == 0 then return 2 end
  return 1
end

if #ARGV == 5 then return {put(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5])} end
local answer = {}
for i = 1, #ARGV / 5 do
  local a = 5 * i - 4
  answer[i] = put(KEYS[2 * i - 1], KEYS[2 * i], ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4])
end
return answer
