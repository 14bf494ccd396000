-- shared_lose removes what has expired, on a server that is shared with nodes of the original. It takes and returns the
-- same as lose. What they put ages from when it was handed out.
local P, W = KEYS[1], KEYS[2]
local lp = #P
local s = load(P)
local lost, due, more, early = 0, nil, 0, {}
call('LTRIM', P, 0, -1) -- as in lose: what follows is not refused at the memory limit
-- What is too old and was not handed out is handed out to nobody. What the original has put stays, and is passed over.
local passed = 0
while not due do
  local chunk = call('LRANGE', P, -passed - 64, -passed - 1)
  if #chunk == 0 then break end
  for i = #chunk, 1, -1 do
    local e = chunk[i]
    local m = isKey(e, P, lp) and call('HGET', P .. '::meta', e)
    if m then
      local at = putTime(m) + AGE
      if at > now then due = at; break end
      call('LREM', P, -1, e)
      call('LPUSH', W, e)
      call('HSET', P .. '::meta', e, pack('>I7', nextseq(s)) .. sub(m, 8))
      lost = lost + 1
      early[e] = true
      if lost >= 256 then due, more = now, 1; break end
    else
      passed = passed + 1
    end
  end
end
local done = 0
for _, w in ipairs(waiting(P, W, s)) do
  local at = (w.k == 'm' and putTime(w.meta) or math.floor(w.seq / 2048)) + AGE
  if at > now and not early[w.e] then
    if not due or at < due then due = at end
  elseif w.k ~= 'g' then
    if done >= 256 then due, more = now, 1; break end
    done = done + 1
    s.g = s.g + 1
    local text, origin, m
    if w.k == 'm' then text, origin, m = read(w.e, P, w.meta) end
    if text then
      local _, flags, _, k = unp(META, m)
      local id, _, dest = fields(w.e, origin, m, flags, P, lp)
      told[#told + 1] = {k = k, origin = origin, silent = origin == '' or has(flags, NORECEIPT), outcome = EXPIRED, by = channel(P),
        id = id, number = has(flags, NUMBER), dest = dest, time = now, P = P, seq = w.seq}
    end
    call('LINSERT', W, 'AFTER', w.e, gap(P, w.seq - 1, 1))
    call('LREM', W, -1, w.e)
    call('DEL', w.e)
    call('HDEL', P .. '::meta', w.e)
  end
end
-- What sockets of the original confirmed has left its meta here.
local metas = call('HGETALL', P .. '::meta')
for i = 1, #metas, 2 do
  if putTime(metas[i + 1]) + AGE <= now and call('EXISTS', metas[i]) == 0 then call('HDEL', P .. '::meta', metas[i]) end
end
s.due = due or 0
if due then call('ZADD', DUE, due, P) else call('ZREM', DUE, P) end
touched[P] = true
tell()
save()
if done > 0 then call('SPUBLISH', P .. '::wake', '') end
return {more, {}, {}}
