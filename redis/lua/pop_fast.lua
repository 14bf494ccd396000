-- What most pops of several do is done here, without defining a function: the oldest messages of the wait list, or if that is
-- empty of the inbox, are confirmed in their order, and all their origins want receipts; or the oldest receipts are. Anything else
-- is left, unchanged, to the general part below. What the node has noted of the messages is not read again.
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
      local fine = #tail == count
      if fine and sub(tail[count], lp + 1, lp + 3) == '::r' then -- receipts, as a session confirms them by the hundred
        local head, i = P .. '::r', 0
        while i < count and sub(tail[count - i], 1, lp + 10) == head .. sub(numbers, 7 * i + 1, 7 * i + 7) do i = i + 1 end
        if i == count then
          call('LTRIM', L, '0', tostring(-count - 1))
          r = r > count and r - count or 0
          if m > 0 or r > 0 or g > 0 then
            call('SETRANGE', KEYS[3], '23', pack('>I4', r))
          else
            call('SET', KEYS[3], sub(raw, 1, 23) .. '\0\0\0\0' .. sub(raw, 28), 'EX', '7200')
          end
          return 1
        end
      end
      -- Of each message k and the number of its sort; sorts are those of the same flags, origin and names.
      local ks, of, sorts, size, records = {}, {}, {}, 0, nil
      if fine and ARGV[4] and table.concat(tail, '\255') == ARGV[4] then
        local list = ARGV[5]
        for i = 1, count do
          local at = 13 * i
          of[i], ks[i] = byte(list, at - 12), sub(list, at - 11, at)
        end
        local at = 1
        while at <= #ARGV[7] do
          local s = {}
          s.flags, s.origin, s.names, at = unp('>BHc0Hc0', ARGV[7], at)
          sorts[#sorts + 1] = s
        end
        records = call('HMGET', KNOWN, unpack(ks))
        -- The first number that is of the time when it was accepted; whether one of those who have the message, as a group has
        -- it, may have confirmed it, and this here be another's with its key.
        local record, first, told = nil, -1, false
        for i = 1, count do
          local v = records[i]
          if v ~= record then
            record, first = v, v and 2048 * unp('>I6', v) or -1
            told = v and (#v > 9 or byte(v, 7) >= 8)
          end
          local after = unp('>I7', numbers, 7 * i - 6) - first
          if after < 0 or after >= 2048 or told and sorts[of[i]].flags >= 8 then records = nil break end -- another clock, or another message
        end
        if records then size = unp('>I5', ARGV[6]) else ks, of, sorts = {}, {}, {} end
      end
      local named = {}
      for i = 1, records and 0 or count do
        if not fine then break end
        local e = tail[count - i + 1]
        local c = byte(e, lp + 2)
        if byte(e, lp + 1) ~= 58 or not c or c == 58 or c == 37 or sub(e, 1, lp) ~= P then fine = false break end
        local v = redis.pcall('LRANGE', e, '1', '2')
        local meta = v[2]
        if v.err or not meta or #meta < 24 then fine = false break end
        local seq, flags, bytes, k = unp('>I7BI4c12', meta)
        if seq ~= unp('>I7', numbers, 7 * i - 6) or flags >= 16 or flags % 4 >= 2 then fine = false break end
        local name = #v[1] .. ':' .. v[1] .. sub(meta, 8, 8) .. sub(meta, 25)
        if not named[name] then
          sorts[#sorts + 1] = {flags = flags, origin = v[1], names = sub(meta, 25)}
          named[name] = #sorts
        end
        ks[i], of[i], size = k, named[name], size + bytes
      end
      -- Whom each sort is told to, and how the receipt goes on behind its number.
      local origins, rest = {}, sub(ARGV[2], 11)
      for _, s in ipairs(sorts) do
        local O, names = LEAD .. s.origin, s.names
        if not fine or s.origin == '' or string.find(s.origin, '[%%:]') or O == P or s.flags >= 12 and #names < 2 then fine = false break end
        local o = origins[O]
        if not o then
          local oraw = redis.pcall('GET', O .. '::state')
          if not oraw or #oraw ~= 42 then fine = false break end
          o = {O = O, raw = oraw, head = O .. '::r', elements = {}, seq = now * 2048 - 2, n = 0}
          local last, oR, odue = unp('>I7', oraw), unp('>I4I6', oraw, 24)
          if odue == 0 or odue > now + RAGE then fine = false break end
          if o.seq < last then o.seq = last end
          o.R = oR
          origins[O] = o
          origins[#origins + 1] = o
        end
        local tells = rest
        if s.flags >= 8 then tells = sub(tells, 1, #report) .. sub(names, s.flags >= 12 and 3 + unp('>H', names) or 1) end
        if s.flags % 2 == 1 then tells = sub(tells, 1, 6) .. '\1' .. sub(tells, 8) end
        s.to, s.tells = o, tells
      end
      if fine then
        records = records or call('HMGET', KNOWN, unpack(ks))
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
          local s = sorts[of[i]]
          local o = s.to
          local n, seq = o.n + 1, o.seq + 2
          o.n, o.seq = n, seq
          o.elements[n] = o.head .. pack('>I7', seq) .. s.tells .. sub(tail[count - i + 1], lp + 2)
        end
        for _, o in ipairs(origins) do fine = fine and o.R + o.n <= RECEIPTS end
        if fine then
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
          for _, o in ipairs(origins) do
            local elements, O, oraw = o.elements, o.O, o.raw
            if type(redis.pcall('LPUSH', O, unpack(elements))) == 'number' then
              local state = pack('>I7', o.seq) .. sub(oraw, 8, 23) .. pack('>I4', o.R + o.n)
              if o.R > 0 or unp('>I4', oraw, 15) > 0 or unp('>I3', oraw, 40) > 0 then
                call('SETRANGE', O .. '::state', '0', state)
              else
                call('SET', O .. '::state', state .. sub(oraw, 28))
              end
              call('SPUBLISH', O .. '::wake', o.n == 1 and sub(oraw, 1, 7) .. sub(elements[1], #O + 1) or '')
            end
          end
          return 1
        end
      end
    end
  end
end
