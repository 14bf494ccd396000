-- kind returns what the element e of an inbox is: 'm' (the key of a message), 'r', 'g', 't', or nil for trash.
local function kind(e, P, lp)
  if byte(e, lp + 1) ~= 58 or sub(e, 1, lp) ~= P then return nil end
  if byte(e, lp + 2) ~= 58 then return 'm' end
  return sub(e, lp + 3, lp + 3)
end

-- meta returns origin and meta of the message whose key is e, nil if there is none.
local function meta(e)
  local v = pcall_('LRANGE', e, 1, 2)
  if not mine(v) or #v < 2 or #v[2] < 24 then return nil end
  return v[1], v[2]
end

-- seqof returns the number of the element e, nil if it has none.
local function seqof(e, P, lp)
  local k = kind(e, P, lp)
  if k == 'm' then
    local _, m = meta(e)
    return m and (unp('>I7', m))
  elseif k and #e >= lp + 10 then
    return (unp('>I7', e, lp + 4))
  end
  return nil
end

-- search returns how many elements of list, counted from its old end, have numbers up to seq, and whether the
-- last of them has just that number. len is the length of the list.
local function search(list, len, seq, P, lp)
  local lo, hi, exact = 0, len, false -- the first lo are known to be <= seq, those from hi on to be larger
  while lo < hi do
    local mid = math.floor((lo + hi) / 2)
    local at, n = mid, nil
    while at < hi do -- an element without a number says nothing: ask a newer one
      local e = call('LINDEX', list, -1 - at)
      n = e and seqof(e, P, lp)
      if n then break end
      at = at + 1
    end
    if not n or n > seq then
      hi = mid
    else
      lo, exact = at + 1, n == seq
    end
  end
  return lo, exact
end

-- fields returns id, from and dest of the message with key e, given its origin and meta.
local function fields(e, origin, m, flags, P, lp)
  local at, from, dest, id = 25, origin, nil, nil
  if has(flags, FROM) then from, at = unp('>Hc0', m, at) end
  if has(flags, DEST) then dest, at = unp('>Hc0', m, at) else dest = channel(P) end
  if has(flags, IDENT) then id = unp('>Hc0', m, at) else
    id = sub(e, lp + 2)
    if byte(id, 1) == 37 then id = sub(id, 2) end
  end
  return id, from, dest
end
