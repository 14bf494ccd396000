-- look looks into many buckets of one server at once. ARGV: now, what: 'out' the lists out, 'due' what is to be looked
-- through; most elements of each; then what the keys of each bucket begin with.
-- Returns for each bucket in which there is something {its number in ARGV, the oldest of its aging list, element, ...}. One
-- whose slot is just moving is passed over: it is looked at another time.
local answer = {}
for i = 4, #ARGV do
  local found, oldest = {}, ''
  if ARGV[2] == 'out' then
    found = redis.pcall('LRANGE', ARGV[i] .. ':out', '0', ARGV[3])
  else
    found = redis.pcall('ZRANGEBYSCORE', ARGV[i] .. ':due', '-inf', ARGV[1], 'LIMIT', '0', ARGV[3])
    oldest = redis.pcall('LINDEX', ARGV[i] .. ':aging', '0') or ''
    if type(oldest) == 'table' then oldest = '' end
  end
  if not found.err and (#found > 0 or oldest ~= '') then
    answer[#answer + 1] = {i - 3, string.sub(oldest, 1, 6), unpack(found)}
  end
end
return answer
