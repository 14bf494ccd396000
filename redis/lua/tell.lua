-- Receipts. told collects what became of messages: {k, origin, outcome, by, id, number, dest, time, P, seq}.
local told, over = {}, {}

-- physical returns the key of the list of a channel, on one server.
local function physical(c)
  if c == '' then c = '%' elseif string.find(c, '[%%:]') then
    c = string.gsub(c, '[%%:]', function(x) return x == ':' and '%3A' or '%25' end)
  end
  return LEAD .. c
end

local function receipt(seq, time, outcome, by, id, number, dest)
  return '::r' .. pack('>I7I6BHc0Hc0', seq, time, outcome * 2 + (number and 1 or 0), #by, by, #dest, dest) .. id
end

-- spell writes a receipt as nodes of the original can pass it on: as the text that the client gets.
local function spell(time, outcome, by, id, number, dest)
  local code = outcome == DELIVERED and '300' or outcome == EXPIRED and '480' or '481'
  return '{"type":' .. code .. ',"data":' .. (number and id or cjson.encode(id)) .. ',"from":' .. cjson.encode(by) .. ',"dest":' ..
    cjson.encode(dest) .. ',"time":' .. string.format('%.0f', time) .. '}'
end

-- append puts receipts into the inbox at O: a list of {time, outcome, by, id, number, dest}.
local function append(O, list)
  local s = load(O)
  touched[O] = true
  local prev, known = s.n, s.known
  local elements, wake = {}, ''
  for i, r in ipairs(list) do
    if SHARED then
      elements[i] = spell(r[1], r[2], r[3], r[4], r[5], r[6])
    else
      elements[i] = O .. receipt(nextseq(s), r[1], r[2], r[3], r[4], r[5], r[6])
    end
  end
  for i = 1, #elements, 1000 do -- unpack has a limit, and a group may have more members
    local len = pcall_('LPUSH', O, unpack(elements, i, math.min(#elements, i + 999)))
    if type(len) == 'table' then -- a key of another type: nobody can be told there
      return
    end
  end
  if SHARED then
    call('SPUBLISH', O .. '::wake', '')
    return
  end
  s.r = s.r + #list
  s.known = true
  deadline(O, s, now + RAGE)
  if s.r > RECEIPTS then over[#over + 1] = O end
  if #list == 1 and known then wake = pack('>I7', prev) .. sub(elements[1], #O + 1) end
  call('SPUBLISH', O .. '::wake', wake)
end

-- A record of known: '>I6BH' accepted, flags, inboxes that it waits in; then for each receipt '>BI6Hc0' outcome, time, by. Those
-- of a message to many inboxes stand apart, in the list TOLD .. k: else each would have all before it written anew.
local records, changed = {}, {}

-- record returns a new one for k, of a message that waits in n inboxes. What stands apart of a message that was forgotten goes; it
-- is looked for first, as at the memory limit a script that begins by deleting is let pass, also where it adds (lose.lua).
local function record(k, number, n)
  local former = records[k]
  if (n > MANY or former and has(former.f, APART)) and pcall_('LLEN', TOLD .. k) ~= 0 then call('DEL', TOLD .. k) end
  return {t = now, f = (number and NUMBER or 0) + (n > MANY and APART or 0), p = n, told = '', apart = {}}
end

-- note adds a receipt to the record r.
local function note(r, outcome, time, by)
  local said = pack('>BI6Hc0', outcome, time, #by, by)
  if has(r.f, APART) then r.apart[#r.apart + 1] = said else r.told = r.told .. said end
end

-- said calls f with outcome, time and by of each receipt of the record r at k.
local function said(k, r, f)
  local list = {r.told}
  if has(r.f, APART) then
    local apart = pcall_('LRANGE', TOLD .. k, 0, -1)
    if mine(apart) then list[2] = table.concat(apart) end
    list[#list + 1] = table.concat(r.apart) -- what this call has added
  end
  local all = table.concat(list)
  local at, outcome, time, by = 1, nil, nil, nil
  while at <= #all do
    outcome, time, by, at = unp('>BI6Hc0', all, at)
    f(outcome, time, by)
  end
end

local function recall(ks)
  local ask = {}
  for i = 1, #ks do
    if records[ks[i]] == nil then records[ks[i]] = false; ask[#ask + 1] = ks[i] end
  end
  if #ask == 0 then return end
  local got = call('HMGET', KNOWN, unpack(ask))
  for i = 1, #ask do
    local v = got[i]
    if v and #v >= 9 then
      local t, f, p = unp('>I6BH', v)
      records[ask[i]] = {t = t, f = f, p = p, told = sub(v, 10), apart = {}}
    end
  end
end

-- remember writes the records that were changed and forgets those that need not be remembered.
local function remember()
  local set, del = {}, {}
  for k in pairs(changed) do
    local r = records[k]
    if r.p == 0 and (has(r.f, PASTWINDOW) or now - r.t >= WINDOW) then
      del[#del + 1] = k
      if has(r.f, APART) then call('DEL', TOLD .. k) end
    else
      for i = 1, #r.apart, 1000 do
        local part = math.min(#r.apart - i + 1, 1000)
        if pcall_('RPUSH', TOLD .. k, unpack(r.apart, i, i + part - 1)) == part then call('PEXPIRE', TOLD .. k, TOLDS) end
      end
      set[#set + 1] = k
      set[#set + 1] = pack('>I6BH', r.t, r.f, r.p) .. r.told
    end
  end
  if #set > 0 then call('HSET', KNOWN, unpack(set)) end
  if #del > 0 then call('HDEL', KNOWN, unpack(del)) end
end

-- settle notes one receipt in the record of its message, and that it waits in one inbox less.
local function settle(k, silent, outcome, time, by)
  local r = records[k]
  if not r then return end
  if r.p > 0 then r.p = r.p - 1 end
  if not silent then note(r, outcome, time, by) end
  changed[k] = true
end

-- ready reads what tell needs. Scripts have it do so before they write: an error would end them, but undo nothing.
local function ready()
  local ks = {}
  if CLUSTER and #told > 0 then call('LLEN', OUT) end
  for i, t in ipairs(told) do
    ks[i] = t.k
    if CLUSTER then ks[i] = t.k .. t.P elseif not t.silent then load(physical(t.origin)) end
  end
  recall(ks)
  return ks
end

-- tell carries out what told holds: receipts and records at once, or on a cluster into the list out.
local function tell()
  if #told == 0 then return end
  local ks = ready()
  if CLUSTER then
    local out = {}
    for i, t in ipairs(told) do
      out[i] = pack('>I6I7BBc12Hc0Hc0Hc0Hc0', t.time, t.seq, t.outcome * 2 + (t.number and 1 or 0), t.silent and 1 or 0, t.k,
        #t.origin, t.origin, #t.by, t.by, #t.dest, t.dest, #t.P, t.P) .. t.id
    end
    call('RPUSH', OUT, unpack(out))
    for _, k in ipairs(ks) do settle(k, true) end
    remember()
    return out
  end
  local origins, lists = {}, {}
  for _, t in ipairs(told) do
    settle(t.k, t.silent, t.outcome, t.time, t.by)
    if not t.silent then
      local O = physical(t.origin)
      if not lists[O] then lists[O] = {}; origins[#origins + 1] = O end
      table.insert(lists[O], {t.time, t.outcome, t.by, t.id, t.number, t.dest})
    end
  end
  for _, O in ipairs(origins) do append(O, lists[O]) end
  remember()
end
