-- What most pops of several do is done here, without defining a function: the oldest messages of the wait list, or if that is
-- empty of the inbox, are confirmed in their order, all of one origin that wants receipts. Anything else is left, unchanged, to
-- the general part below. What the node has noted of the messages is not read again.
if not CLUSTER and #ARGV < 8 and #ARGV[1] > 7 then
  local call, sub, byte, pack, unp = redis.call, string.sub, string.byte, struct.pack, struct.unpack
  local raw = call('GET', KEYS[3])
  if raw and #raw == 42 then
    local P, L, numbers, report = KEYS[1], KEYS[2], ARGV[1], ARGV[3]
    local m, b, r, due, t, _, g = unp('>I4I5I4I6I3I3I3', raw, 15)
    local now, count, lp = unp('>I6', report, 2), #numbers / 7, #P
    if now < due and t == 0 then
      local tail = call('LRANGE', L, tostring(-count), '-1')
      if #tail == 0 then
        L = P
        tail = call('LRANGE', L, tostring(-count), '-1')
      end
      local fine, origin, ks, metas, size = #tail == count, nil, {}, {}, 0
      local noted = fine and ARGV[5] and table.concat(tail, '\255') == ARGV[5]
      local flags, records = 0, nil
      if noted then
        origin = ARGV[4]
        flags, size = unp('>BI5', ARGV[7])
        for i = 1, count do ks[i] = sub(ARGV[6], 12 * i - 11, 12 * i) end
        records = call('HMGET', KNOWN, unpack(ks))
        local record, first = nil, -1 -- the first number that is of the time when it was accepted
        for i = 1, count do
          local v = records[i]
          if v ~= record then record, first = v, v and 2048 * unp('>I6', v) or -1 end
          local after = unp('>I7', numbers, 7 * i - 6) - first
          if after < 0 or after >= 2048 then noted = false break end -- another clock, or another message
        end
        if not noted then origin, ks, size, records = nil, {}, 0, nil end
      end
      for i = 1, noted and 0 or count do
        if not fine then break end
        local e = tail[count - i + 1]
        local c = byte(e, lp + 2)
        if byte(e, lp + 1) ~= 58 or not c or c == 58 or c == 37 or sub(e, 1, lp) ~= P then fine = false break end
        local v = redis.pcall('LRANGE', e, '1', '2')
        local meta = v[2]
        if v.err or not meta or #meta < 24 then fine = false break end
        local seq, flags, bytes, k = unp('>I7BI4c12', meta)
        if seq ~= unp('>I7', numbers, 7 * i - 6) or flags >= 16 or flags % 4 >= 2 then fine = false break end
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
          local on, oh, om, ob, oR, odue, _, _, og = unp('>I7I7I4I5I4I6I3I3I3', oraw)
          records = records or call('HMGET', KNOWN, unpack(ks))
          fine = odue > 0 and odue <= now + RAGE and oR + count <= RECEIPTS
          local set = {}
          local apart = {} -- lists of the receipts that stand apart from their records
          local record, settled, many -- those of the message before: in a batch they are mostly the same
          for i = 1, count do
            local v = records[i]
            if v ~= record then
              if not v then fine = false break end
              local at, f, p = unp('>I6BH', v)
              if f % 8 >= 2 or p == 0 or p == 1 and now - at >= WINDOW then fine = false break end
              many = f >= 8
              record, settled = v, pack('>I6BHc0c0', at, f, p - 1, sub(v, 10), many and '' or report)
            end
            if many then apart[#apart + 1] = TOLD .. ks[i] end
            set[2 * i - 1], set[2 * i] = ks[i], settled
          end
          if fine then
            local elements, rests, head = {}, {}, O .. '::r'
            local seq = now * 2048 - 2
            if seq < on then seq = on end
            for i = 1, count do
              local meta = metas[i]
              if meta then flags = byte(meta, 8) end
              local rest = rests[flags]
              if not rest then
                rest = sub(ARGV[2], 11)
                if flags >= 8 then rest = sub(rest, 1, #report) .. sub(meta, flags % 8 >= 4 and 27 + unp('>H', meta, 25) or 25) end
                if flags % 2 == 1 then rest = sub(rest, 1, 6) .. '\1' .. sub(rest, 8) end
                if flags < 8 then rests[flags] = rest end
              end
              seq = seq + 2
              elements[i] = head .. pack('>I7', seq) .. rest .. sub(tail[count - i + 1], lp + 2)
            end
            call('LTRIM', L, '0', tostring(-count - 1))
            call('DEL', unpack(tail))
            m, b = m - count, b - size
            if m < 0 then m = 0 end
            if b < 0 then b = 0 end
            if m > 0 or r > 0 or g > 0 then
              call('SETRANGE', KEYS[3], '14', pack('>I4I5', m, b))
            else
              call('SET', KEYS[3], sub(raw, 1, 14) .. pack('>I4I5', m, b) .. sub(raw, 24), 'EX', '7200')
            end
            call('HSET', KNOWN, unpack(set))
            for _, list in ipairs(apart) do
              if redis.pcall('RPUSH', list, report) == 1 then call('PEXPIRE', list, TOLDS) end
            end
            if type(redis.pcall('LPUSH', O, unpack(elements))) == 'number' then
              local state = pack('>I7I7I4I5I4', seq, oh, om, ob, oR + count)
              if om > 0 or oR > 0 or og > 0 then
                call('SETRANGE', OS, '0', state)
              else
                call('SET', OS, state .. sub(oraw, 28))
              end
              call('SPUBLISH', O .. '::wake', '')
            end
            return 1
          end
        end
      end
    end
  end
end
