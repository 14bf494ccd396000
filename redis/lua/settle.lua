-- settle ends what claim began, when every channel has answered.
-- KEYS: lists of the origins, then the bucket's. ARGV: now, number of items, then for each the index of its origin's list
-- in KEYS (0 if it is told nothing), k, id, dest, 1 if the id is a number, 1 if any channel took it, number of channels
-- that were full, and their names.
-- Returns {over}.
local at, items, ks = 3, {}, {}
for i = 1, tonumber(ARGV[2]) do
  local it = {O = KEYS[tonumber(ARGV[at])], k = ARGV[at + 1], id = ARGV[at + 2], dest = ARGV[at + 3],
    number = ARGV[at + 4] == '1', taken = ARGV[at + 5] == '1', full = {}}
  local n = tonumber(ARGV[at + 6])
  for j = 1, n do it.full[j] = ARGV[at + 6 + j] end
  at = at + 7 + n
  items[i] = it
  ks[i] = it.k
  if it.O and n > 0 then load(it.O) end
end
recall(ks)
local lists = {}
for _, it in ipairs(items) do
  local r = records[it.k]
  if r and has(r.f, PARTLY) then
    changed[it.k] = true
    r.f = r.f - PARTLY
    r.p = math.max(0, r.p - #it.full)
    if not it.taken then
      r.p, r.f = 0, PASTWINDOW -- forgotten at once
    elseif it.O then
      for _, by in ipairs(it.full) do
        note(r, DROPPED, now, by)
        lists[it.O] = lists[it.O] or {}
        table.insert(lists[it.O], {now, DROPPED, by, it.id, it.number, it.dest})
      end
    end
  end
end
remember()
for O, list in pairs(lists) do append(O, list) end
save()
return {over}
