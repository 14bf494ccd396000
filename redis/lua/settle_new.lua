-- settle_new ends claims of messages that every channel has taken, where nothing about that is special; else it changes nothing
-- and returns 0, and settle does it. KEYS: known of the bucket of the origins. ARGV: now `I6`, then k of each.
-- Returns 1.
local ARGV, call, unp = ARGV, redis.call, struct.unpack
local known, now, set = KEYS[1], unp('>I6', ARGV[1]), {}
local records = #ARGV == 2 and {call('HGET', known, ARGV[2])} or call('HMGET', known, unpack(ARGV, 2))
for i = 1, #ARGV - 1 do
  local v = records[i]
  local at, f, p = unp('>I6BH', v and #v >= 9 and v or '\0\0\0\0\0\0\0\0\0')
  if f % 8 >= 4 then
    if p == 0 and (f % 4 >= 2 or now - at >= WINDOW) then return 0 end
    set[#set + 1] = ARGV[i + 1]
    set[#set + 1] = string.sub(v, 1, 6) .. string.char(f - 4) .. string.sub(v, 8)
  end
end
if #set > 0 then call('HSET', known, unpack(set)) end
return 1
