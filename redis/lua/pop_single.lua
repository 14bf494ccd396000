-- The one message that is confirmed is mostly the oldest of the wait list, and of an origin that wants a receipt. Then it is
-- done here, without a function and almost without a table; anything else is left, unchanged, to what follows.
if not CLUSTER and #ARGV == 4 and ARGV[3] == '1' then
  local call, sub, byte, pack, unp = redis.call, string.sub, string.byte, struct.pack, struct.unpack
  local P, W = KEYS[1], KEYS[2]
  local raw = call('GET', KEYS[3])
  local e = raw and #raw == 42 and call('RPOP', W) -- put back below if it is not the one
  if e then
    local m, b, r, due, t, _, g = unp('>I4I5I4I6I3I3I3', raw, 15)
    local now, lp, c = tonumber(ARGV[1]), #P, byte(e, #P + 2)
    if now < due and t == 0 and byte(e, lp + 1) == 58 and c and c ~= 58 and c ~= 37 and sub(e, 1, lp) == P then
      local v = redis.pcall('LRANGE', e, '1', '2')
      local origin, meta = v[1], v[2]
      if meta and #meta >= 24 and origin ~= '' and not string.find(origin, '[%%:]') then
        local flags, bytes, k, at = unp('>BI4c12', meta, 8)
        if sub(meta, 1, 7) == ARGV[4] and flags < 16 and flags % 4 < 2 then
          local O, dest = LEAD .. origin, nil
          local OS = O .. '::state'
          -- From here on an error would lose what was taken.
          local oraw = O ~= P and redis.pcall('GET', OS)
          local record = type(oraw) == 'string' and #oraw == 42 and redis.pcall('HGET', KNOWN, k)
          if flags >= 8 then
            if flags % 8 >= 4 then dest, at = unp('>Hc0', meta, at) end
            dest = unp('>Hc0', meta, at)
          elseif not string.find(P, '%', 1, true) then
            dest = sub(P, PREFIX + 1)
          end
          if type(record) == 'string' and #record >= 9 and dest then
            local on, oh, om, ob, oR, odue, _, _, og = unp('>I7I7I4I5I4I6I3I3I3', oraw)
            local accepted, f, p = unp('>I6BH', record)
            if odue > 0 and odue <= now + RAGE and oR < RECEIPTS and f < 2 and p > 0 and (p > 1 or now - accepted < WINDOW) then
              local by = ARGV[2]
              local number = now * 2048
              if number <= on then number = on + 2 end
              local element = pack('>c0I7I6BHc0Hc0c0', '::r', number, now, flags % 2, #by, by, #dest, dest, sub(e, lp + 2))
              call('DEL', e)
              if m > 0 then m = m - 1 end
              b = b > bytes and b - bytes or 0
              if m > 0 or r > 0 or g > 0 then
                call('SETRANGE', KEYS[3], '14', pack('>I4I5', m, b))
              else
                call('SET', KEYS[3], sub(raw, 1, 14) .. pack('>I4I5', m, b) .. sub(raw, 24), 'EX', '7200')
              end
              call('HSET', KNOWN, k, pack('>I6BHc0BI6Hc0', accepted, f, p - 1, sub(record, 10), 0, now, #by, by))
              if type(redis.pcall('LPUSH', O, O .. element)) == 'number' then
                local state = pack('>I7I7I4I5I4', number, oh, om, ob, oR + 1)
                if om > 0 or oR > 0 or og > 0 then
                  call('SETRANGE', OS, '0', state)
                else
                  call('SET', OS, state .. sub(oraw, 28))
                end
                call('SPUBLISH', O .. '::wake', pack('>I7', on) .. element)
              end
              return 1
            end
          end
        end
      end
    end
    call('RPUSH', W, e)
  end
end
