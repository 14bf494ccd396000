-- pop_one takes one entry off each of some inboxes, where it is the oldest of the wait list, or of the inbox if what woke
-- its reader had brought it along, and is a receipt, or a message whose origin wants one; else it changes nothing and says 0,
-- and pop does it. Nothing that is wrong with one inbox is an error, which would end all.
-- KEYS: the lists. ARGV: for each what pop takes, and what the node has noted of the message, which then is not read again,
-- or ''.
-- Returns for each 1 if it was popped.
local KEYS, ARGV, call, pcall, sub, pack, unp = KEYS, ARGV, redis.call, redis.pcall, string.sub, struct.pack, struct.unpack
local byte, find, type = string.byte, string.find, type

-- take takes the entry e, which has left its list, if the rest is as it mostly is, and reports whether it did. tail is the
-- receipt up to its id.
local function take(P, S, raw, e, number, tail, report, noted)
  local m, b, r, due, t, _, g = unp('>I4I5I4I6I3I3I3', raw, 15)
  local now, lp = unp('>I6', report, 2), #P
  local colon, c = byte(e, lp + 1, lp + 2)
  if now >= due or t > 0 or colon ~= 58 or not c or c == 37 or sub(e, 1, lp) ~= P then return false end
  if c == 58 then
    if byte(e, lp + 3) ~= 114 or sub(e, lp + 4, lp + 10) ~= number then return false end
    if m > 0 or r > 1 or g > 0 then
      call('SETRANGE', S, '23', pack('>I4', r > 0 and r - 1 or 0))
    else
      call('SET', S, sub(raw, 1, 23) .. '\0\0\0\0' .. sub(raw, 28), 'EX', '7200')
    end
    return true
  end
  local bytes, k, given, flags, origin, names, at
  if noted ~= '' then bytes, k, given, flags, origin, names, at = unp('>I4c12I6BHc0Hc0', noted) end
  if not at or sub(noted, at) ~= e then
    local v, meta = pcall('LRANGE', e, '1', '2'), nil
    origin, meta, given = v[1], v[2], nil
    if not meta or sub(meta, 1, 7) ~= number or #meta < 24 then return false end
    flags, bytes, k = unp('>BI4c12', meta, 8)
    if flags >= 16 or flags % 4 >= 2 then return false end
    names = flags >= 8 and sub(meta, 25)
  end
  if flags >= 12 and #names < 2 then return false end
  if origin == '' or find(origin, '[%%:]') then return false end
  local O = LEAD .. origin
  local OS = O .. '::state'
  local oraw = O ~= P and pcall('GET', OS)
  if not oraw or #oraw ~= 42 then return false end
  local record = pcall('HGET', KNOWN, k) -- an error would lose what was taken
  if not record or #record < 9 then return false end
  local on, oR, odue = unp('>I7', oraw), unp('>I4I6', oraw, 24)
  local accepted, f, p = unp('>I6BH', record)
  if odue == 0 or odue > now + RAGE or oR >= RECEIPTS or f % 8 >= 2 or p == 0 or p == 1 and now - accepted >= WINDOW then return false end
  -- Another clock, or another message: also where one of those who have it, as a group has it, may have confirmed it.
  if given and (given ~= accepted or flags >= 8 and (f >= 8 or #record > 9)) then return take(P, S, raw, e, number, tail, report, '') end
  if flags >= 8 then tail = sub(tail, 1, #report + 10) .. sub(names, flags >= 12 and 3 + unp('>H', names) or 1) end
  if flags % 2 == 1 then tail = sub(tail, 1, 16) .. '\1' .. sub(tail, 18) end
  if now * 2048 <= on then tail = '::r' .. pack('>I7', on + 2) .. sub(tail, 11) end
  tail = tail .. sub(e, lp + 2)
  call('DEL', e)
  if m > 1 or r > 0 or g > 0 then
    call('SETRANGE', S, '14', pack('>I4I5', m > 0 and m - 1 or 0, b > bytes and b - bytes or 0))
  else
    call('SET', S, sub(raw, 1, 14) .. '\0\0\0\0\0\0\0\0\0' .. sub(raw, 24), 'EX', '7200')
  end
  if f >= 8 then -- its receipts stand apart
    if pcall('RPUSH', TOLD .. k, report) == 1 then call('PEXPIRE', TOLD .. k, TOLDS) end
    report = ''
  end
  call('HSET', KNOWN, k, sub(record, 1, 7) .. pack('>H', p - 1) .. sub(record, 10) .. report)
  if type(pcall('LPUSH', O, O .. tail)) == 'number' then
    local state = sub(tail, 4, 10) .. sub(oraw, 8, 23) .. pack('>I4', oR + 1)
    if oR > 0 or unp('>I4', oraw, 15) > 0 or unp('>I3', oraw, 40) > 0 then
      call('SETRANGE', OS, '0', state)
    else
      call('SET', OS, state .. sub(oraw, 28))
    end
    call('SPUBLISH', O .. '::wake', sub(oraw, 1, 7) .. tail)
  end
  return true
end

local function pop(P, number, tail, report, noted)
  local S, L = P .. '::state', P .. ':wait'
  local raw = pcall('GET', S)
  if not raw or #raw ~= 42 then return 0 end
  local e = pcall('RPOP', L)
  if not e then
    L = P
    e = pcall('RPOP', L)
  end
  if not e or e.err then return 0 end
  if take(P, S, raw, e, number, tail, report, noted) then return 1 end
  call('RPUSH', L, e)
  return 0
end

if #ARGV == 4 then return {pop(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4])} end
local answer = {}
for i = 1, #KEYS do answer[i] = pop(KEYS[i], ARGV[4 * i - 3], ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i]) end
return answer
