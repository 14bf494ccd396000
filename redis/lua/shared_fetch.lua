-- shared_fetch is fetch on a server that is shared with nodes of the original. It takes and returns the same.
local P, W = KEYS[1], KEYS[2]
local lp = #P
local after, most, room = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local s = load(P)
if s.due > 1 and now >= s.due then return {2} end
local out, n, bytes, full = {0}, 0, 0, false

local function add(e, origin, m, text, seq, size)
  if seq <= after then return true end
  if n > 0 and (n >= most or bytes + size > room) then
    full = true
    return false
  end
  n, bytes = n + 1, bytes + size
  local o = #out
  out[o + 1], out[o + 2], out[o + 3], out[o + 4] = sub(e, lp + 1), origin, m, text
  return true
end

call('LTRIM', P, 0, -1) -- as in lose: what follows is not refused at the memory limit
for _, w in ipairs(waiting(P, W, s)) do
  if w.seq > after then
    local ok = true
    if w.k == 'm' then
      local text, origin = read(w.e, P, w.meta)
      if text then ok = add(w.e, origin, w.meta, text, w.seq, #text) end
    else
      ok = add(w.e, '', '', '', w.seq, w.k == 't' and unp('>I4', w.e, lp + 12) or 0)
    end
    if not ok then break end
  end
end

while not full and n < most do
  local e = call('LINDEX', P, -1)
  if not e then break end
  local element, origin, m, text, size = nil, '', '', '', 0
  if isKey(e, P, lp) then
    local stored = call('HGET', P .. '::meta', e)
    text, origin, m = read(e, P, stored)
    if text then
      element, size = e, #text
      if n > 0 and bytes + size > room then full = true; break end
      m = pack('>I7', nextseq(s)) .. sub(m, 8)
      call('HSET', P .. '::meta', e, m)
      if not stored then deadline(P, s, now + AGE) end
    end
  elseif object(e) then
    size = #e
    if n > 0 and bytes + size > room then full = true; break end
    element = P .. '::t' .. pack('>I7BI4c12Hc0Hc0', nextseq(s), FROM + DEST, #e, ZERO, 0, '', 0, '') .. e
    deadline(P, s, now + AGE)
    text = ''
  end
  call('RPOP', P)
  touched[P] = true
  if element then
    call('LPUSH', W, element)
    add(element, origin, m, text, s.n, size)
  end
end
save()
if full or n >= most then out[1] = 1 end
return out
