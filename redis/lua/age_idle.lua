-- age_idle forgets a piece of what is past the window. KEYS: the aging list. Returns how many ids are left if there may
-- be more to forget, else -1, and when the last one that the cap made go had been accepted.
local before = call('LLEN', AGING)
if before <= CAP then -- mostly there is nothing to do yet
  local oldest = call('LINDEX', AGING, 0)
  if not oldest or now - unp('>I6', oldest) < WINDOW then return {-1, call('GET', FORGOT) or ''} end
end
local left = age({})
local forgot = call('GET', FORGOT)
return {left < before and left or -1, forgot or ''}
