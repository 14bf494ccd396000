-- Keys that are numbers alone came packed, in one text, with what their receipts have in common; what follows wants them in
-- full.
local ARGV = ARGV
if #ARGV < 8 then
  local numbers, report = ARGV[1], ARGV[3]
  local full = {(struct.unpack('>I6', report, 2)), string.sub(report, 10), #numbers / 7}
  for i = 1, full[3] do
    local at = 5 * i - 1
    full[at], full[at + 1], full[at + 2], full[at + 3], full[at + 4] = (struct.unpack('>I7', numbers, 7 * i - 6)), '', '', '', ''
  end
  ARGV = full
end
