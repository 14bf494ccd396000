local P, W = KEYS[1], KEYS[2]
local lp = #P
local by = ARGV[2]
local s = load(P)
-- Keys to entries. n is how many keys there are, taken the elements that keys before took.
local n = tonumber(ARGV[3])
local taken = {}
local tail, places = nil, {}

-- place reads the oldest elements of the wait list, where what is popped mostly stands.
local function place(count)
  tail = call('LRANGE', W, -count, -1)
  for i, e in ipairs(tail) do
    local k = kind(e, P, lp)
    local origin, m, seq
    if k == 'm' then
      origin, m = meta(e)
      seq = m and unp('>I7', m)
    elseif k and k ~= 'x' and #e >= lp + 10 then
      seq = unp('>I7', e, lp + 4)
    end
    if seq then places[seq] = {e = e, k = k, origin = origin, m = m, seq = seq, list = W, back = #tail - i} end
  end
end

local function at(seq)
  if not tail then place(n) end
  local p = places[seq]
  if p then return p end
  local list = seq <= s.h and W or P
  local back, exact = search(list, call('LLEN', list), seq, P, lp)
  if not exact then return nil end
  local e = call('LINDEX', list, -back)
  p = {e = e, k = kind(e, P, lp), seq = seq, list = list, back = back - 1}
  if p.k == 'x' then return nil end
  if p.k == 'm' then p.origin, p.m = meta(e) end
  return p
end

local function matches(e, id, from, dest)
  if taken[e] then return nil end
  local origin, m = meta(e)
  if not m then return nil end
  local seq = unp('>I7', m)
  if from ~= '' or dest ~= '' then
    local _, f, d = fields(e, origin, m, byte(m, 8), P, lp)
    if from ~= '' and f ~= from or dest ~= '' and d ~= dest then return nil end
  end
  return {e = e, k = 'm', origin = origin, m = m, seq = seq, list = seq <= s.h and W or P}
end

local same
local function named(id, key, from, dest)
  local best = matches(P .. ':' .. key, id, from, dest)
  if s.x > 0 then
    same = same or call('HGETALL', P .. '::same')
    for i = 1, #same, 2 do
      if same[i + 1] == id then
        local p = matches(P .. '::m' .. same[i], id, from, dest)
        if p and (not best or p.seq < best.seq) then best = p end
      end
    end
  end
  return best
end

-- resolve returns the entry that the key at place i of ARGV names, or nil.
local function resolve(i)
  local a = 4 + (i - 1) * 5
  local seq = tonumber(ARGV[a])
  if seq > 0 then return at(seq) end
  if ARGV[a + 1] == '' then return nil end
  return named(ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4])
end
