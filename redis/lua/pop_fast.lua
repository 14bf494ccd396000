-- What most pops of several do is done here, without defining a function: the oldest messages of the wait list are confirmed in their
-- order, all of one origin that wants receipts. Anything else is left, unchanged, to the general part below.
if not CLUSTER and ARGV[3] ~= '1' then
  local call, sub, byte, pack, unp = redis.call, string.sub, string.byte, struct.pack, struct.unpack
  local STATE = '>I7I7I4I5I4I6I3I3I3'
  local raw = call('GET', KEYS[3])
  if raw and #raw == 42 then
    local P, W, by = KEYS[1], KEYS[2], ARGV[2]
    local n, h, m, b, r, due, t, x, g = unp(STATE, raw)
    local now, count, lp = tonumber(ARGV[1]), tonumber(ARGV[3]), #P
    if (due == 0 or now < due) and t == 0 and not string.find(P, '%', 1, true) then
      local tail = call('LRANGE', W, '-' .. ARGV[3], '-1')
      local fine, origin, ks, metas, size = #tail == count, nil, {}, {}, 0
      local step = #ARGV == 3 + count and 1 or 5
      for i = 1, count do
        if not fine then break end
        local e = tail[count - i + 1]
        local c = byte(e, lp + 2)
        if byte(e, lp + 1) ~= 58 or not c or c == 58 or c == 37 or sub(e, 1, lp) ~= P then fine = false break end
        local v = redis.pcall('LRANGE', e, '1', '2')
        local meta = v[2]
        if v.err or not meta or #meta < 24 then fine = false break end
        local seq, flags, bytes, k = unp('>I7BI4c12', meta)
        if seq ~= tonumber(ARGV[step * (i - 1) + 4]) or flags >= 16 or flags % 4 >= 2 then fine = false break end
        if origin == nil then
          origin = v[1]
        elseif origin ~= v[1] then
          fine = false
        end
        ks[i], metas[i], size = k, meta, size + bytes
      end
      if fine and origin and origin ~= '' and not string.find(origin, '[%%:]') and LEAD .. origin ~= P then
        local O = LEAD .. origin
        local OS = O .. '::state'
        local oraw = call('GET', OS)
        if oraw and #oraw == 42 then
          local on, oh, om, ob, oR, odue, ot, ox, og = unp(STATE, oraw)
          local records = call('HMGET', KNOWN, unpack(ks))
          fine = odue > 0 and odue <= now + RAGE and oR + count <= RECEIPTS
          for i = 1, count do
            local v = records[i]
            if not v then fine = false break end
            local at, f, p = unp('>I6BH', v)
            if f >= 2 or p == 0 or p == 1 and now - at >= WINDOW then fine = false break end
            records[i] = sub(v, 1, 7) .. pack('>H', p - 1) .. sub(v, 10)
          end
          if fine then
            local elements, set, numbers = {}, {}, {}
            local seq = now * 2048 - 2
            if seq < on then seq = on end
            local report = pack('>BI6Hc0', 0, now, #by, by)
            for i = 1, count do
              local meta, flags = metas[i], byte(metas[i], 8)
              local dest
              if flags >= 8 then
                local at = 25
                if flags % 8 >= 4 then dest, at = unp('>Hc0', meta, at) end
                dest = unp('>Hc0', meta, at)
              else
                dest = sub(P, PREFIX + 1)
              end
              seq = seq + 2
              elements[i] = O .. '::r' .. pack('>I7I6BHc0Hc0', seq, now, flags % 2, #by, by, #dest, dest) .. sub(tail[count - i + 1], lp + 2)
              set[2 * i - 1], set[2 * i] = ks[i], records[i] .. report
              numbers[i] = (unp('>I7', meta))
            end
            call('LTRIM', W, '0', tostring(-count - 1))
            call('DEL', unpack(tail))
            m, b = m - count, b - size
            if m < 0 then m = 0 end
            if b < 0 then b = 0 end
            if m > 0 or r > 0 or g > 0 then
              call('SET', KEYS[3], pack(STATE, n, h, m, b, r, due, t, x, g))
            else
              call('SET', KEYS[3], pack(STATE, n, h, m, b, r, due, t, x, g), 'EX', '7200')
            end
            call('HSET', KNOWN, unpack(set))
            if type(redis.pcall('LPUSH', O, unpack(elements))) == 'number' then
              call('SET', OS, pack(STATE, seq, oh, om, ob, oR + count, odue, ot, ox, og))
              call('SPUBLISH', O .. '::wake', '')
            end
            return {numbers, {}, {}, 0}
          end
        end
      end
    end
  end
end
