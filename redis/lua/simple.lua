-- Simple mode: the list at P holds texts; beside it P::ages holds for each '>I6I4' when it was put and its size,
-- unless the server is shared with others, who know nothing of that.

-- pops removes the count oldest.
local function pops(P, s, count)
  local old = call('LRANGE', P .. '::ages', -count, -1)
  for _, v in ipairs(old) do
    local _, size = unp('>I6I4', v)
    s.b = s.b - size
  end
  call('LTRIM', P .. '::ages', 0, -count - 1)
  s.m = s.m - count
  touched[P] = true
  return call('RPOP', P, count)
end

local function expire(P, s)
  if SHARED then
    s.m = call('LLEN', P)
    return
  end
  while s.m > 0 do
    local old = call('LINDEX', P .. '::ages', -1)
    if not old or unp('>I6', old) + AGE > now then return end
    pops(P, s, 1)
  end
end
