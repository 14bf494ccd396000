-- receive appends receipts that wait in the list out of another bucket to the inboxes of their origins, unless a marker
-- says that it was done.
-- KEYS: lists of the origins and markers, then the bucket's. ARGV: now, number, then for each the index of its origin's
-- list (0 if nothing is told), the index of its marker, k, outcome, time, by, id, 1 if the id is a number, dest.
-- Returns {over}.
local items, ks = {}, {}
for i = 1, tonumber(ARGV[2]) do
  local a = 3 + (i - 1) * 9
  items[i] = {O = KEYS[tonumber(ARGV[a])], mark = KEYS[tonumber(ARGV[a + 1])], k = ARGV[a + 2], outcome = tonumber(ARGV[a + 3]),
    time = tonumber(ARGV[a + 4]), by = ARGV[a + 5], id = ARGV[a + 6], number = ARGV[a + 7] == '1', dest = ARGV[a + 8]}
  ks[i] = items[i].k
  if items[i].O then load(items[i].O) end
end
recall(ks)
local lists = {}
for _, it in ipairs(items) do
  if call('SET', it.mark, '', 'NX', 'EX', 600) then
    settle(it.k, not it.O, it.outcome, it.time, it.by)
    if it.O then
      lists[it.O] = lists[it.O] or {}
      table.insert(lists[it.O], {it.time, it.outcome, it.by, it.id, it.number, it.dest})
    end
  end
end
for O, list in pairs(lists) do append(O, list) end
remember()
save()
return {over}
