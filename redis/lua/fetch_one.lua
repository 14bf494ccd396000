-- fetch_one hands out one entry of each of some inboxes, where it is new and follows on what the reader has, or says that
-- nothing is new; else it changes nothing and says 0, and fetch does it. Nothing that is wrong with one inbox is an error,
-- which would end all.
-- KEYS: the lists. ARGV: for each what fetch takes; the most messages are 1.
-- Returns for each {text, origin, meta, element}, or {} if nothing is new. Of an element that says everything itself the other
-- three are empty.
local KEYS, ARGV, call, pcall, sub, byte, unp = KEYS, ARGV, redis.call, redis.pcall, string.sub, string.byte, struct.unpack

local function fetch(P, args)
  local S, W = P .. '::state', P .. ':wait'
  local raw = pcall('GET', S)
  if not raw or #raw ~= 42 then return 0 end
  local now, after = unp('>I6I7', args)
  local n, h, m, _, r, due, _, _, g = unp('>I7I7I4I5I4I6I3I3I3', raw)
  if due > 0 and now >= due then return 0 end
  if h == n and after >= h then return {} end
  if m + r + g == 0 or h == n or after < h and pcall('LLEN', W) ~= 0 then return 0 end
  local e = pcall('RPOPLPUSH', P, W) -- moved before it is looked at, and put back below if it is not what it should be
  if not e or e.err then return 0 end
  local lp = #P
  local colon, c = byte(e, lp + 1, lp + 2)
  if c and colon == 58 and sub(e, 1, lp) == P then
    local v, number = nil, nil
    if c ~= 58 then
      v = pcall('LRANGE', e, '0', '2')
      number = v[3] and #v[3] >= 24 and sub(v[3], 1, 7)
    elseif byte(e, lp + 3) == 114 and #e >= lp + 10 then
      v, number = {'', '', ''}, sub(e, lp + 4, lp + 10)
    end
    if number and unp('>I7', number) > after then
      call('SETRANGE', S, '7', number)
      v[4] = e
      return v
    end
  end
  call('LREM', W, '1', e)
  call('RPUSH', P, e)
  return 0
end

if #ARGV == 1 then return {fetch(KEYS[1], ARGV[1])} end
local answer = {}
for i = 1, #ARGV do answer[i] = fetch(KEYS[i], ARGV[i]) end
return answer
