-- check reports for one key whether a message that it names waits: 1 or 0.
-- KEYS and ARGV as of pop. What has expired and was not looked through yet does not wait.
local p = resolve(1)
if p and p.k == 'm' or p and p.k == 't' then
  if math.floor(p.seq / 2048) + AGE > now then return 1 end
end
return 0
