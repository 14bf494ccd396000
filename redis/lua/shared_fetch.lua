-- shared_fetch is fetch on a server that is shared with nodes of the original. It takes and returns the same.
local P, W = KEYS[1], KEYS[2]
local lp = #P
local after, most, room = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local s = load(P)
if s.due > 1 and now >= s.due then return {2} end
local out, n, bytes, full = {0}, 0, 0, false

local function add(element, origin, m, text, seq, size)
  if seq <= after then return true end
  if n > 0 and (n >= most or bytes + size > room) then
    full = true
    return false
  end
  n, bytes = n + 1, bytes + size
  local o = #out
  out[o + 1], out[o + 2], out[o + 3], out[o + 4] = element, origin, m, text
  return true
end

call('LTRIM', P, 0, -1) -- as in lose: what follows is not refused at the memory limit
for _, w in ipairs(waiting(P, W, s)) do
  if w.seq > after then
    local ok = true
    if w.k == 'm' then
      local text, origin = read(w.e, P, w.meta)
      if text then ok = add(sub(w.e, lp + 1), origin, w.meta, text, w.seq, #text) end
    else
      local element, size = packed(w.e, w.k, w.seq, lp)
      ok = add(element, '', '', '', w.seq, size)
    end
    if not ok then break end
  end
end

while not full and n < most do
  local e = call('LINDEX', P, -1)
  if not e then break end
  local element, shown, origin, m, text, size = nil, nil, '', '', '', 0
  if isKey(e, P, lp) then
    local stored = call('HGET', P .. '::meta', e)
    text, origin, m = read(e, P, stored)
    if text then
      element, shown, size = e, sub(e, lp + 1), #text
      if n > 0 and bytes + size > room then full = true; break end
      m = pack('>I7', nextseq(s)) .. sub(m, 8)
      call('HSET', P .. '::meta', e, m)
      if not stored then deadline(P, s, now + AGE) end
    end
  elseif object(e) then
    size = #e
    if n > 0 and bytes + size > room then full = true; break end
    element = numbered(P, 't', nextseq(s)) .. e
    shown = packed(element, 't', s.n, lp)
    deadline(P, s, now + AGE)
  end
  call('RPOP', P)
  touched[P] = true
  if element then
    call('LPUSH', W, element)
    add(shown, origin, m, text, s.n, size)
  end
end
save()
if full or n >= most then out[1] = 1 end
return out
