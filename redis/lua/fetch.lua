-- fetch hands out: it returns what the inbox holds after a number, and moves what was not handed out before to the
-- list of what waits for confirmation.
-- KEYS: the list, its wait list, its state. ARGV: now, after, most messages, most bytes, in one text.
-- Returns {state, element, origin, meta, text, ...}; state is 0: that was all, 1: there may be more, 2: it has to be
-- looked through for what has expired first. Of an element that says everything itself the other three are empty.
local P, W = KEYS[1], KEYS[2]
local lp = #P
local after, most, room = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local s = load(P)
if s.due > 0 and now >= s.due then return {2} end
local out, n, bytes, full = {0}, 0, 0, false

-- take adds an element to the answer, unless the reader had it, and reports whether that was possible.
local function take(e)
  local k = kind(e, P, lp)
  local origin, m, text = '', '', ''
  local seq, size = nil, 0
  if k == 'm' then
    local v = pcall_('LRANGE', e, 0, 2)
    if not mine(v) or #v < 3 or #v[3] < 24 then return true end
    text, origin, m = v[1], v[2], v[3]
    seq, size = unp('>I7', m), #text
  elseif k and k ~= 'x' and #e >= lp + 10 then
    seq = unp('>I7', e, lp + 4)
    if k == 't' then size = unp('>I4', e, lp + 12) end
  else
    return true
  end
  if seq <= after then return true, seq end
  if n > 0 and (n >= most or bytes + size > room) then
    full = true
    return false
  end
  n, bytes = n + 1, bytes + size
  local o = #out
  out[o + 1], out[o + 2], out[o + 3], out[o + 4] = e, origin, m, text
  return true, seq
end

if after < s.h then
  local len = call('LLEN', W)
  local skip = 0
  if after > 0 then skip = search(W, len, after, P, lp) end
  while skip < len and not full do
    local step = math.min(64, most - n + 1)
    local chunk = call('LRANGE', W, -skip - step, -skip - 1)
    for i = #chunk, 1, -1 do
      if not take(chunk[i]) then break end
    end
    skip = skip + step
  end
end

while not full and s.h < s.n do
  local chunk = call('LRANGE', P, -math.min(64, most - n + 1), -1)
  if #chunk == 0 then
    s.h = s.n
    break
  end
  local moved, last = {}, s.h
  local gone = 0
  for i = #chunk, 1, -1 do
    local ok, seq = take(chunk[i])
    if not ok then break end
    gone = gone + 1
    if seq then moved[#moved + 1] = chunk[i]; last = seq end
  end
  if gone > 0 then
    call('LLEN', W) -- if it is of another type, this ends the script before anything was taken off
    call('LTRIM', P, 0, -gone - 1)
    if #moved > 0 then call('LPUSH', W, unpack(moved)) end
    s.t = math.max(0, s.t - gone + #moved)
    s.h = math.max(s.h, last)
    touched[P] = true
  end
  if n >= most then break end
end
save()
if full or n >= most then out[1] = 1 end
return out
