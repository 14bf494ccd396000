-- Names, states and entries. KEYS.md describes what is stored. The constants PREFIX (bytes before the channel in a
-- key), AGE, RAGE, MESSAGES, BYTES, RECEIPTS, WINDOW, CAP, DROP, MANY and CLUSTER are written in front of this text.
local call, pcall_, sub, byte, pack, unp = redis.call, redis.pcall, string.sub, string.byte, struct.pack, struct.unpack
local STATE = '>I7I7I4I5I4I6I3I3I3' -- 42 bytes
local META = '>I7BI4c12' -- 24 bytes, then names
local NUMBER, NORECEIPT, FROM, DEST, IDENT = 1, 2, 4, 8, 16
local PASTWINDOW, PARTLY, APART = 2, 4, 8 -- flags of what is remembered, besides NUMBER (KEYS.md)
local DELIVERED, EXPIRED, DROPPED = 0, 1, 2
local now = tonumber(ARGV[1])

-- has reports whether flag, a power of two, is set in flags.
local function has(flags, flag) return flags % (flag + flag) >= flag end

local states, touched = {}, {}

-- recover counts an inbox whose state is gone, which happens only if somebody removed it.
local function recover(P, s)
  local seq
  for i, L in ipairs({P .. ':wait', P}) do
    local len = pcall_('LLEN', L)
    if type(len) == 'number' and len > 0 then
      if not SHARED then -- where a node of the original may have put it, and nothing is counted
        s.m = s.m + len
        s.due = 1
      end
      if i == 1 then s.h = now * 2048 - 1 end
      s.n = now * 2048
    end
  end
end

-- load returns the state of the inbox at P: n the last number, h the last one that was handed out, m messages and b
-- their bytes, r receipts, g gaps, due when something may expire (ms), t marks in the lists, x messages with a key
-- like '::m'. known is false if nothing had been stored.
local function load(P)
  local s = states[P]
  if s then return s end
  local raw = call('GET', P .. '::state')
  if raw and #raw == 42 then
    local n, h, m, b, r, due, t, x, g = unp(STATE, raw)
    s = {n = n, h = h, m = m, b = b, r = r, due = due, t = t, x = x, g = g, known = true}
  else
    s = {n = 0, h = 0, m = 0, b = 0, r = 0, due = 0, t = 0, x = 0, g = 0}
    recover(P, s)
  end
  states[P] = s
  return s
end

-- save writes the states that were touched. A state outlives its inbox for two hours, so that wake-ups can go on to
-- say what they follow on.
local function save()
  for P in pairs(touched) do
    local s = states[P]
    local raw = pack(STATE, s.n, s.h, math.max(0, s.m), math.max(0, s.b), math.max(0, s.r), s.due, math.max(0, s.t),
      math.max(0, s.x), math.max(0, s.g))
    if s.m <= 0 and s.r <= 0 and s.g <= 0 then
      call('SET', P .. '::state', raw, 'EX', '7200')
    else
      call('SET', P .. '::state', raw)
    end
  end
end

-- nextseq numbers a new entry of s. Numbers follow the clock, so that they grow even when a server that took over
-- knows less than the one that failed. They are even: a gap has the odd number before the last entry that it stands for,
-- so that who confirms the entry too late does not take the gap.
local function nextseq(s)
  local n = now * 2048
  if n <= s.n then n = s.n + 2 end
  s.n = n
  return n
end

-- deadline notes that something in s must leave at the time given.
local function deadline(P, s, at)
  if s.due == 0 or at < s.due then
    s.due = at
    if SHARED then -- where the state may have gone before the inbox was empty
      call('ZADD', DUE, 'LT', at, P)
    else
      call('ZADD', DUE, at, P)
    end
  end
end

-- mine ends the script if v is an error, unless that says that a key is of another type and so is not ours.
local function mine(v)
  if not v.err then return true end
  if string.find(v.err, 'WRONGTYPE', 1, true) then return false end
  error(v.err)
end

-- channel returns the name of the channel whose list is at P.
local function channel(P)
  local c = sub(P, PREFIX + 1)
  if CLUSTER then c = sub(c, (string.find(c, '}', 1, true)) + 1) end
  if c == '%' then return '' end
  return (string.gsub(c, '%%(%x%x)', function(h) return string.char(tonumber(h, 16)) end))
end
