-- Keys that are numbers alone came packed, in one text; what follows wants them in full.
local ARGV = ARGV
if #ARGV == 4 then
  local full = {ARGV[1], ARGV[2], ARGV[3]}
  for i = 1, tonumber(ARGV[3]) do
    local at = 5 * i - 1
    full[at], full[at + 1], full[at + 2], full[at + 3], full[at + 4] = (struct.unpack('>I7', ARGV[4], 7 * i - 6)), '', '', '', ''
  end
  ARGV = full
end
