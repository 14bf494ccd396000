-- What most fetches do is done here, without defining a function: nothing is new, or what is new follows on what the reader
-- has. Anything else is left, unchanged, to the general part below.
local call, sub, byte, unp = redis.call, string.sub, string.byte, struct.unpack
local now, after, most, room, fast, n, h, m, b, r, due, t, x, g
local raw = call('GET', KEYS[3])
if raw and #raw == 42 then
  now, after, most, room = unp('>I6I7I4I4', ARGV[1])
  n, h, m, b, r, due, t, x, g = unp('>I7I7I4I5I4I6I3I3I3', raw)
  if due == 0 or now < due then
    if h == n and after >= h then return {0} end
    fast = n > h and (after >= h or call('LLEN', KEYS[2]) == 0)
  end
end
if fast then
  local P, W, lp = KEYS[1], KEYS[2], #KEYS[1]
  local chunk = call('LRANGE', P, most > 64 and '-64' or tostring(-most), '-1')
  local out, o, bytes, fine, last = {0}, 1, 0, true, h
  local old = #chunk
  local i = old
  while i > 0 do
    local e = chunk[i]
    local c = byte(e, lp + 2)
    if byte(e, lp + 1) ~= 58 or sub(e, 1, lp) ~= P or not c then fine = false break end
    if c ~= 58 then
      local v = redis.pcall('LRANGE', e, '0', '2')
      local meta = v[3]
      if v.err or not meta or #meta < 24 then fine = false break end
      last = unp('>I7', meta)
      if last <= after then fine = false break end
      bytes = bytes + #v[1]
      if bytes > room and o > 1 then break end
      out[o + 1], out[o + 2], out[o + 3], out[o + 4] = e, v[2], meta, v[1]
    else
      if byte(e, lp + 3) ~= 114 or #e < lp + 10 then fine = false break end
      last = unp('>I7', e, lp + 4)
      if last <= after then fine = false break end
      out[o + 1], out[o + 2], out[o + 3], out[o + 4] = e, '', '', ''
    end
    o = o + 4
    i = i - 1
    h = last
  end
  local taken = old - i
  if fine and taken > 0 then
    -- At the memory limit RPOPLPUSH is refused; what begins by making room is not. If that was all, the list becomes the wait
    -- list as it is.
    local one = taken == 1 and type(redis.pcall('RPOPLPUSH', P, W)) == 'string'
    if not one and (CLUSTER or h < n or taken ~= m + r + g or call('RENAMENX', P, W) == 0) then
      local moved = {}
      call('LLEN', W) -- if it is of another type, this ends the script before anything was taken off
      for j = 1, taken do moved[j] = chunk[old + 1 - j] end
      call('LTRIM', P, '0', tostring(-taken - 1))
      call('LPUSH', W, unpack(moved))
    end
    if CLUSTER or m + r + g == 0 then
      call('SET', KEYS[3], sub(raw, 1, 7) .. struct.pack('>I7', h) .. sub(raw, 15))
    else
      call('SETRANGE', KEYS[3], '7', struct.pack('>I7', h))
    end
    if i > 0 or taken >= most or h < n then out[1] = 1 end
    return out
  end
end
