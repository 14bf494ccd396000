-- simple_fetch removes and returns the oldest texts. KEYS: the list, its ages, its state. ARGV: now, most messages, most
-- bytes.
local P = KEYS[1]
local most, room = tonumber(ARGV[2]), tonumber(ARGV[3])
local len = pcall_('LLEN', P)
if type(len) == 'table' or len == 0 then return {} end
local count, bytes = 0, 0
if SHARED then
  local old = call('LRANGE', P, -most, -1)
  for i = #old, 1, -1 do
    if count > 0 and bytes + #old[i] > room then break end
    count, bytes = count + 1, bytes + #old[i]
  end
  return call('RPOP', P, count)
end
local s = load(P)
expire(P, s)
local old = call('LRANGE', P .. '::ages', -most, -1)
for i = #old, 1, -1 do
  local _, size = unp('>I6I4', old[i])
  if count > 0 and bytes + size > room then break end
  count, bytes = count + 1, bytes + size
end
if count == 0 then
  save()
  return {}
end
local texts = pops(P, s, count)
save()
return texts or {}
