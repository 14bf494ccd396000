-- On a server that nodes of the original use too, an entry gets its number when it is handed out, and what there is to
-- know of a message besides text and origin is in the hash '::meta': by its key, '>I7BI4c12' and names as elsewhere. An odd
-- number says that it has not been handed out. The last six bytes say when it was put, or first seen here.
-- They take every element for text, and a list with one that is no UTF-8 ends what writes to their socket. So what is
-- packed elsewhere is spelled in hexadecimal digits in elements here: the number behind '::t', then the text; the number and the
-- three counts behind '::g'; k behind '::m'.
local ZERO = string.rep('\0', 12)

-- numbered begins an entry of the kind given, 't' or 'g'.
local function numbered(P, kind_, seq) return P .. '::' .. kind_ .. string.format('%014x', seq) end

local function seqIn(e, lp)
  local digits = sub(e, lp + 4, lp + 17)
  return #digits == 14 and string.find(digits, '^%x+$') and tonumber(digits, 16) or nil
end

local function gap(P, seq, expired) return numbered(P, 'g', seq) .. string.format('%08x%08x%08x', 0, expired, 0) end

-- packed returns an entry of the kind 't' or 'g' as nodes of ours read it, without P, and the size of its text.
local function packed(e, k, seq, lp)
  if k == 'g' then
    local counts = string.gsub(sub(e, lp + 18), '%x%x', function(h) return string.char(tonumber(h, 16)) end)
    return '::g' .. pack('>I7', seq) .. counts, 0
  end
  local text = sub(e, lp + 18)
  return '::t' .. pack('>I7BI4c12Hc0Hc0', seq, FROM + DEST, #text, ZERO, 0, '', 0, '') .. text, #text
end

-- object reports whether a text is a JSON object, as all that the original pushes without an id.
local function object(e)
  if byte(e, 1) ~= 123 then return nil end
  local ok, v = pcall(cjson.decode, e)
  return ok and type(v) == 'table' and v or nil
end

-- guess makes the meta of a message that a node of the original has put.
local function guess(text, e, P)
  local v = object(text) or {}
  local flags, id = FROM + DEST + IDENT, v.id
  if type(id) == 'number' then flags = flags + NUMBER end
  if type(id) ~= 'string' then id = sub(e, #P + 2) end
  local from, dest = v.from, v.dest
  if type(from) ~= 'string' then from = '' end
  if type(dest) ~= 'string' then dest = channel(P) end
  return pack('>BI4c12Hc0Hc0Hc0I6', flags, #text, ZERO, #from, from, #dest, dest, #id, id, now)
end

-- read returns text, origin and meta of the message with key e, nil if there is none. m is its meta as stored, or false.
local function read(e, P, m)
  local v = pcall_('LRANGE', e, 0, 1)
  if not mine(v) or #v == 0 then return nil end
  if not m then m = pack('>I7', 1) .. guess(v[1], e, P) end
  return v[1], v[2] or '', m
end

-- isKey reports whether an element is the key of a message.
local function isKey(e, P, lp)
  local k = kind(e, P, lp)
  return k == 'm' or k and sub(e, lp + 1, lp + 3) == '::m'
end

-- waiting returns what the wait list holds, oldest first: {e, seq, meta}, and numbers what has no number yet: what nodes of
-- the original have put there. Texts there are theirs.
local function waiting(P, W, s)
  local lp = #P
  local all = call('LRANGE', W, 0, -1)
  local list, ask, set = {}, {}, {}
  for i = #all, 1, -1 do
    local e = all[i]
    local k = kind(e, P, lp)
    if isKey(e, P, lp) then
      ask[#ask + 1] = e
      list[#list + 1] = {e = e, k = 'm'}
    elseif k == 't' or k == 'g' then
      list[#list + 1] = {e = e, k = k, seq = seqIn(e, lp)}
    end
  end
  local got = {}
  for i = 1, #ask, 1000 do
    local part = call('HMGET', P .. '::meta', unpack(ask, i, math.min(#ask, i + 999)))
    for j, v in ipairs(part) do got[ask[i + j - 1]] = v end
  end
  local there = {}
  for _, w in ipairs(list) do
    if w.k == 'm' then
      local m = got[w.e]
      local seq = m and #m >= 24 and unp('>I7', m)
      if not seq or seq % 2 == 1 then
        local text, origin, full = read(w.e, P, seq and m)
        if text then
          seq = nextseq(s)
          m = pack('>I7', seq) .. sub(full, 8)
          set[#set + 1] = w.e
          set[#set + 1] = m
        else
          seq = nil
        end
      end
      w.seq, w.meta = seq, m
    end
    if w.seq then there[#there + 1] = w end
  end
  for i = 1, #set, 2000 do
    call('HSET', P .. '::meta', unpack(set, i, math.min(#set, i + 1999)))
    touched[P] = true
  end
  return there
end

local function putTime(m) return (unp('>I6', m, #m - 5)) end
