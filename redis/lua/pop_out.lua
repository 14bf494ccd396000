-- What most pops on a cluster do is done here, without defining a function: the oldest entries of the wait list, or if that is
-- empty of the inbox, are confirmed in their order. Anything else is left, unchanged, to the general part below.
-- Returns {out} then: what was put into the list out.
if #ARGV == 3 then
  local KEYS, ARGV, call, pcall, sub, byte, pack, unp = KEYS, ARGV, redis.call, redis.pcall, string.sub, string.byte, struct.pack, struct.unpack
  local P, L, known, numbers = KEYS[1], KEYS[2], KEYS[5], ARGV[1]
  local raw = call('GET', KEYS[3])
  if raw and #raw == 42 then
    local m, b, r, due, t, _, g = unp('>I4I5I4I6I3I3I3', raw, 15)
    local time = sub(ARGV[3], 2, 7)
    local now, count, lp = unp('>I6', time), #numbers / 7, #P
    if (due == 0 or now < due) and t == 0 then
      local tail = call('LRANGE', L, tostring(-count), '-1')
      if #tail == 0 then
        L = P
        tail = call('LRANGE', L, tostring(-count), '-1')
      end
      local fine, messages, size, gone, ks, out, outcome = #tail == count, 0, 0, {}, {}, {}, 2 * byte(ARGV[3], 1)
      local names, list = sub(ARGV[2], 18), pack('>H', lp) .. P -- who confirms, and dest
      for i = 1, fine and count or 0 do
        local e, number = tail[count - i + 1], sub(numbers, 7 * i - 6, 7 * i)
        local c = byte(e, lp + 2)
        if byte(e, lp + 1) ~= 58 or not c or c == 37 or sub(e, 1, lp) ~= P then fine = false break end
        if c ~= 58 then
          local v = pcall('LRANGE', e, '1', '2')
          local origin, meta = v[1], v[2]
          if v.err or not meta or #meta < 24 or sub(meta, 1, 7) ~= number then fine = false break end
          local flags, bytes, k = unp('>BI4c12', meta, 8)
          if flags >= 16 then fine = false break end
          local rest = names
          if flags >= 8 then
            local given = sub(meta, 25)
            if #given < 2 then fine = false break end
            rest = sub(names, 1, 2 + unp('>H', names)) .. sub(given, flags % 8 >= 4 and 3 + unp('>H', given) or 1)
          end
          messages, size = messages + 1, size + bytes
          local silent = (origin == '' or flags % 4 >= 2) and 1 or 0
          gone[messages], ks[messages] = e, k .. P
          out[messages] = time .. number .. pack('>BBc12Hc0', outcome + flags % 2, silent, k, #origin, origin) .. rest .. list .. sub(e, lp + 2)
        elseif byte(e, lp + 3) ~= 114 or sub(e, lp + 4, lp + 10) ~= number then
          fine = false
          break
        end
      end
      local set = {}
      if fine and messages > 0 then
        for i, v in ipairs(call('HMGET', known, unpack(ks))) do
          if v and #v >= 9 then
            local at, f, p = unp('>I6BH', v)
            if f % 4 >= 2 or p == 0 or p == 1 and now - at >= WINDOW then fine = false break end
            set[#set + 1] = ks[i]
            set[#set + 1] = sub(v, 1, 7) .. pack('>H', p - 1) .. sub(v, 10)
          end
        end
        fine = fine and type(pcall('RPUSH', KEYS[9], unpack(out))) == 'number'
      end
      if fine then
        call('LTRIM', L, '0', tostring(-count - 1))
        if messages > 0 then call('DEL', unpack(gone)) end
        if #set > 0 then call('HSET', known, unpack(set)) end
        m, b, r = m - messages, b - size, r - (count - messages)
        if m < 0 then m = 0 end
        if b < 0 then b = 0 end
        if r < 0 then r = 0 end
        raw = sub(raw, 1, 14) .. pack('>I4I5I4', m, b, r) .. sub(raw, 28)
        if m > 0 or r > 0 or g > 0 then
          call('SET', KEYS[3], raw)
        else
          call('SET', KEYS[3], raw, 'EX', '7200')
        end
        return {out}
      end
    end
  end
end
