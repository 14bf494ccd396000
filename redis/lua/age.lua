-- age appends ids to the aging list and forgets the oldest: those past the window, a few at a time, and those past the
-- cap at once, but no more than hold up the server for 20 ms: after the cap was lowered that may be millions. When the cap is
-- what makes one go, FORGOT says when it had been accepted.
local function age(ids)
  local n = #ids > 0 and call('RPUSH', AGING, unpack(ids)) or call('LLEN', AGING)
  local steps = #ids > 0 and 2 * #ids + 2 or 500
  if #ids > 0 and n % 8 ~= 0 and n <= CAP then return n, nil end
  local gone, capped, later = 0, nil, {}
  repeat
    local batch = call('LRANGE', AGING, 0, math.min(steps, 500) - 1)
    local ask, take, overs = {}, 0, 0
    for i, v in ipairs(batch) do
      local t = unp('>I6', v)
      local over_ = n - gone - take > CAP
      if not over_ and now - t < WINDOW then break end
      if over_ then overs = i end
      if over_ and now - t < WINDOW then capped = t end
      ask[#ask + 1] = sub(v, 7)
      take = take + 1
    end
    if take > 0 then
      call('LTRIM', AGING, take, -1)
      gone = gone + take
      local got = call('HMGET', KNOWN, unpack(ask))
      local del, set = {}, {}
      for i, k in ipairs(ask) do
        local v = got[i]
        if v then
          local t, f, p = unp('>I6BH', v)
          if t == unp('>I6', batch[i]) or has(f, PASTWINDOW) then -- else it was accepted anew since
            if p == 0 or now - t > NET then
              del[#del + 1] = k
              if has(f, APART) then call('DEL', TOLD .. k) end
            else -- it still waits somewhere: to be looked at again, if there is room
              if i > overs then later[#later + 1] = pack('>I6', now) .. k end
              if not has(f, PASTWINDOW) then
                set[#set + 1] = k
                set[#set + 1] = pack('>I6B', t, f + PASTWINDOW) .. sub(v, 8)
              end
            end
          end
        end
      end
      if #del > 0 then call('HDEL', KNOWN, unpack(del)) end
      if #set > 0 then call('HSET', KNOWN, unpack(set)) end
    end
    steps = n - gone - CAP
  until steps <= 0 or take == 0 or gone >= 10000
  if #later > 0 then call('RPUSH', AGING, unpack(later)) end
  if capped then call('SET', FORGOT, string.format('%.0f', capped), 'PX', WINDOW) end
  return n - gone, capped
end
