-- simple_put: ARGV: now, number of items, then for each its text, number of channels, and for each the index of its list
-- in KEYS. Returns for each item a text of one digit a channel.
local answer, at, woken = {}, 3, {}
for i = 1, tonumber(ARGV[2]) do
  local text, st = ARGV[at], {}
  local size = #text
  local n = tonumber(ARGV[at + 1])
  at = at + 2
  for j = 1, n do
    local P = KEYS[tonumber(ARGV[at])]
    at = at + 1
    local len = pcall_('LLEN', P)
    if type(len) == 'table' then
      st[j] = '0'
    else
      local s = load(P)
      if s.m ~= len then s.m = len end
      if len == 0 then s.b = 0 end -- the list went by itself, or somebody removed it
      expire(P, s)
      local full = size > BYTES
      while not full and (s.m >= MESSAGES or s.b + size > BYTES) do
        if DROP and s.m > 0 then pops(P, s, 1) else full = true end
      end
      if full then
        st[j] = '3'
      else
        local pushed = pcall_('LPUSH', P, text)
        if type(pushed) == 'table' then return pushed end
        if not SHARED then
          call('LPUSH', P .. '::ages', pack('>I6I4', now, size))
          call('PEXPIRE', P .. '::ages', NET)
          call('PEXPIRE', P, NET)
          s.b = s.b + size
          s.m = s.m + 1
          touched[P] = true
        end
        woken[P] = true
        st[j] = '1'
      end
    end
  end
  answer[i] = table.concat(st)
end
for P in pairs(woken) do call('SPUBLISH', P .. '::wake', '') end
save()
return answer
