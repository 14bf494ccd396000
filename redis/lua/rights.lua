-- rights says which commands this user may not run. ARGV: a key, a name that is published, then the commands.
local refused = {}
for i = 3, #ARGV do
  local name = string.find(ARGV[i], 'PUB') or string.find(ARGV[i], 'SUBSCRIBE')
  local on = ARGV[name and 2 or 1]
  if not redis.acl_check_cmd(ARGV[i], on, on, on) then refused[#refused + 1] = ARGV[i] end
end
return refused
