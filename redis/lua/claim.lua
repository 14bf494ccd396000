-- claim begins to put messages on a cluster: it remembers them where their origin is.
-- KEYS: lists of the origins, then the bucket's. ARGV: now, number of items, 1 if what is known has its receipts repeated,
-- then for each the index of its origin's list
-- in KEYS (0 without an origin), k, id, dest, 1 if the id is a number, number of channels.
-- Returns {a digit for each item, over, forgot}: 2 if it is known, else 1.
local ks, items = {}, {}
for i = 1, tonumber(ARGV[2]) do
  local a = 4 + (i - 1) * 6
  items[i] = {O = KEYS[tonumber(ARGV[a])], k = ARGV[a + 1], id = ARGV[a + 2], dest = ARGV[a + 3], number = ARGV[a + 4] == '1', n = tonumber(ARGV[a + 5])}
  ks[i] = items[i].k
  if items[i].O then load(items[i].O) end
end
recall(ks)
local answer, aging, lists = {}, {}, {}
for i, it in ipairs(items) do
  local r = records[it.k]
  answer[i] = '1'
  if r and (r.p > 0 or now - r.t < WINDOW) then
    if not has(r.f, PARTLY) then
      answer[i] = '2'
      if it.O and ARGV[3] == '1' then
        said(it.k, r, function(outcome, time, by)
          lists[it.O] = lists[it.O] or {}
          table.insert(lists[it.O], {time, outcome, by, it.id, has(r.f, NUMBER), it.dest})
        end)
      end
    end
  else
    r = record(it.k, it.number, it.n)
    r.f = r.f + PARTLY
    records[it.k] = r
    changed[it.k] = true
    aging[#aging + 1] = pack('>I6', now) .. it.k
  end
end
remember()
local _, capped
if #aging > 0 then _, capped = age(aging) end
for O, list in pairs(lists) do append(O, list) end
save()
return {table.concat(answer), over, capped and string.format('%.0f', capped) or ''}
