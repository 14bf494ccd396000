-- age_idle forgets a piece of what is past the window. KEYS: the aging list. Returns how many ids are left if there may
-- be more to forget, else -1, and when the last one that the cap made go had been accepted.
local before = call('LLEN', AGING)
local left = age({})
local forgot = call('GET', FORGOT)
return {left < before and left or -1, forgot or ''}
