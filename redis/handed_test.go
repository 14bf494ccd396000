package redis_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/redis"
)

// A pop by the node that was handed the messages, which has noted what they are, leaves behind what it leaves by one that
// must read them.
func TestPopOfWhoWasHanded(t *testing.T) {
	t.Parallel()
	item := func(id bachata.ID, change func(*bachata.Item)) bachata.Item {
		m := bachata.Item{Channels: []string{"bob"}, ID: id, Origin: "anna", From: "anna", Dest: "bob", Payload: []byte(`{"n":` + id.Text + `}`)}
		if change != nil {
			change(&m)
		}
		return m
	}
	texts := func(ids ...string) (items []bachata.Item) {
		for _, id := range ids {
			items = append(items, item(bachata.StringID(id), nil))
		}
		return items
	}
	numbers := func(ids ...int) (items []bachata.Item) {
		for _, id := range ids {
			items = append(items, item(bachata.ID{Text: strconv.Itoa(id), Number: true}, nil))
		}
		return items
	}
	changed := func(change func(*bachata.Item), ids ...string) (items []bachata.Item) {
		for _, id := range ids {
			items = append(items, item(bachata.StringID(id), change))
		}
		return items
	}
	for name, items := range map[string][]bachata.Item{
		"one":                   texts("m"),
		"several":               texts("a", "b", "c"),
		"a number":              numbers(7),
		"several numbers":       numbers(7, 8, 9),
		"numbers and texts":     slices.Concat(numbers(7), texts("a"), numbers(8)),
		"ids that are spelled":  texts("wait", ":a", "%b", "::m1"),
		"ids that are no texts": texts("\xff", "a\xffbob:b", "\x00"),
		"ids like elements":     texts("abob:b", "c", "b", "cbob:a"), // the first two and the last two make the same text
		"two senders":           slices.Concat(texts("a"), changed(func(m *bachata.Item) { m.Origin, m.From = "carl", "carl" }, "b")),
		"the same id of two":    slices.Concat(texts("a"), changed(func(m *bachata.Item) { m.Origin, m.From = "carl", "carl" }, "a")),
		"no receipt":            changed(func(m *bachata.Item) { m.NoReceipt = true }, "a", "b"),
		"one no receipt":        changed(func(m *bachata.Item) { m.NoReceipt = true }, "a"),
		"some no receipt":       slices.Concat(texts("a"), changed(func(m *bachata.Item) { m.NoReceipt = true }, "b"), texts("c")),
		"no sender":             changed(func(m *bachata.Item) { m.Origin = "" }, "a", "b"),
		"a sender to escape":    changed(func(m *bachata.Item) { m.Origin, m.From = "an:na", "an:na" }, "a", "b"),
		"from another":          changed(func(m *bachata.Item) { m.From = "bot" }, "a", "b"),
		"of a group":            changed(func(m *bachata.Item) { m.Dest = "team" }, "a", "b"),
		"of groups by several": slices.Concat(
			changed(func(m *bachata.Item) { m.Dest = "team" }, "a"),
			changed(func(m *bachata.Item) { m.Dest, m.Origin, m.From = "team", "carl", "carl" }, "b", "c"),
			texts("f"), numbers(9), changed(func(m *bachata.Item) { m.Dest = "" }, "g"),
			changed(func(m *bachata.Item) { m.Dest, m.From = "club", "bot" }, "d", "e"),
		),
		"from another in a group": changed(func(m *bachata.Item) { m.Dest, m.From = "team", "bot" }, "a", "b"),
		"to oneself":              changed(func(m *bachata.Item) { m.Origin, m.From = "bob", "bob" }, "a", "b"),
		"without an id":           changed(func(m *bachata.Item) { m.ID = bachata.ID{} }, "1", "2"),
	} {
		for how, pick := range map[string]func(keys []bachata.Key) []bachata.Key{
			"in order":              func(keys []bachata.Key) []bachata.Key { return keys },
			"the other way":         func(keys []bachata.Key) []bachata.Key { slices.Reverse(keys); return keys },
			"not the first":         func(keys []bachata.Key) []bachata.Key { return keys[min(1, len(keys)):] },
			"nothing but the first": func(keys []bachata.Key) []bachata.Key { return keys[:min(1, len(keys))] },
			"nothing but the last":  func(keys []bachata.Key) []bachata.Key { return keys[max(len(keys)-1, 0):] },
			"the last two":          func(keys []bachata.Key) []bachata.Key { return keys[max(len(keys)-2, 0):] },
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				handed := handedPops(t, items, pick, byHanded)
				if left := handedPops(t, items, pick, byOther); left != handed {
					t.Errorf("who was handed the messages left\n%s\nwho was not\n%s", handed, left)
				}
				if left := handedPops(t, items, pick, byGeneral); left != handed {
					t.Errorf("who was handed the messages left\n%s\nthe script for all cases\n%s", handed, left)
				}
			})
		}
	}
}

// Who pops in handedPops.
const (
	byHanded  = iota // the node that was handed the messages
	byOther          // another one
	byGeneral        // that, and something that isn't there, which leaves it to the script for all cases
)

// handedPops puts items and has some of them, and of their receipts, popped. It tells what the server holds then.
func handedPops(t *testing.T, items []bachata.Item, pick func([]bachata.Key) []bachata.Key, by int) (left string) {
	t.Helper()
	s := redistest.Start(t)
	o := options(s.Addr())
	at := time.Now().Truncate(time.Hour) // the same for both
	o.Now = func() time.Time { return at }
	o.SweepEvery = -1
	q, pops := two(t, o)
	if by == byHanded {
		pops = q
	}
	put := func(m bachata.Item) {
		t.Helper()
		if _, err := q.Put(t.Context(), []bachata.Item{m}); err != nil {
			t.Fatal(err)
		}
	}
	for i, m := range items { // each origin has had receipts before
		m.ID, m.NoReceipt = bachata.StringID(fmt.Sprint("before", i)), false
		put(m)
	}
	if _, err := q.PopDelivered(t.Context(), "bob", "bob", handedKeys(t, q, "bob")); err != nil {
		t.Fatal(err)
	}
	for _, m := range append(items[:len(items):len(items)], message("bob", 0)) {
		put(m)
	}
	for _, channel := range []string{"bob", items[0].Origin} {
		keys := handedKeys(t, q, channel)
		keys = pick(keys[:max(len(keys)-1, 0)])
		if by == byGeneral {
			keys = append(slices.Clone(keys), bachata.Key{Cursor: 3})
		}
		popped, err := pops.PopDelivered(t.Context(), channel, channel, keys)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range popped {
			if found := p.Found && p.Cursor == keys[i].Cursor; found != (keys[i].Cursor != 3) {
				t.Errorf("of %d entries of %s, the pop of %d: %+v", len(keys), channel, i, p)
			}
		}
		left += s.Do("EVAL", contents, "0")
	}
	return left
}

// A pop of several makes no more receipts for one of their origins than its inbox holds.
func TestPopPastReceipts(t *testing.T) {
	t.Parallel()
	o := options(redistest.Start(t).Addr())
	o.Receipts = 3
	q := openQueue(t, o)
	for i, origin := range []string{"anna", "carl", "anna", "anna", "anna"} {
		m := message("bob", i)
		m.Origin, m.From = origin, origin
		if _, err := q.Put(t.Context(), []bachata.Item{m}); err != nil {
			t.Fatal(err)
		}
		if i > 1 {
			continue
		}
		if _, err := q.PopDelivered(t.Context(), "bob", "bob", handedKeys(t, q, "bob")); err != nil { // each has had one
			t.Fatal(err)
		}
	}
	if _, err := q.PopDelivered(t.Context(), "bob", "bob", handedKeys(t, q, "bob")); err != nil {
		t.Fatal(err)
	}
	if got := want(t, q, "anna", "gap {Dropped:0 Expired:0 Receipts:1}", "300 2", "300 3", "300 4"); len(got) != 4 {
		t.Errorf("anna has %+v", got)
	}
}

// Who gets one receipt of a pop of several is woken with it, who gets more is woken to look.
func TestPopWakesOrigins(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ids := 0
	put := func(a *redis.Queue, origin string) {
		t.Helper()
		ids++
		m := bachata.Item{Channels: []string{"bob"}, ID: bachata.StringID(strconv.Itoa(ids)), Origin: origin, From: origin, Dest: "bob", Payload: []byte("{}")}
		if _, err := a.Put(t.Context(), []bachata.Item{m}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 {
		a, b := two(t, options(s.Addr()))
		pops := []*redis.Queue{a, b}[i] // who was handed the messages, and who was not
		woken := map[string]chan bachata.Wake{"anna": make(chan bachata.Wake, 10), "carl": make(chan bachata.Wake, 10)}
		for origin, wakes := range woken {
			put(a, origin) // its inbox is known then
			if _, err := a.PopDelivered(t.Context(), "bob", "bob", handedKeys(t, a, "bob")); err != nil {
				t.Fatal(err)
			}
			stop, err := b.Watch(origin, func(w bachata.Wake) {
				w.Envelopes = slices.Clone(w.Envelopes)
				wakes <- w
			})
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			<-wakes // when it is subscribed
		}
		put(a, "anna")
		id := strconv.Itoa(ids)
		put(a, "carl")
		put(a, "carl")
		last := handedKeys(t, a, "anna")
		if _, err := pops.PopDelivered(t.Context(), "bob", "bob", handedKeys(t, a, "bob")); err != nil {
			t.Fatal(err)
		}
		w := <-woken["anna"]
		if len(w.Envelopes) != 1 || w.Envelopes[0].ID.Text != id || w.Envelopes[0].From != "bob" || w.Prev != last[len(last)-1].Cursor {
			t.Errorf("anna was woken with %+v, want her receipt behind %d", w, last[len(last)-1].Cursor)
		}
		if w := <-woken["carl"]; len(w.Envelopes) != 0 {
			t.Errorf("carl, who has two receipts, was woken with %+v", w)
		}
		for channel := range woken {
			if _, err := a.PopDelivered(t.Context(), channel, channel, handedKeys(t, a, channel)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// handedKeys has q hand out what channel holds, and returns its keys.
func handedKeys(t *testing.T, q *redis.Queue, channel string) []bachata.Key {
	t.Helper()
	envs, err := q.Fetch(context.Background(), channel, 0, bachata.Limit{})
	if err != nil {
		t.Fatal(err)
	}
	keys := make([]bachata.Key, len(envs))
	for i, e := range envs {
		keys[i].Cursor = e.Cursor
	}
	return keys
}

// store has q store items.
func store(t *testing.T, q *redis.Queue, items []bachata.Item) {
	t.Helper()
	if res, err := q.Put(t.Context(), items); err != nil || res[0][0] != bachata.Stored {
		t.Fatal(res, err)
	}
}

// pop has q pop keys, and looks whether all of them were found, or none.
func pop(t *testing.T, q *redis.Queue, channel string, keys []bachata.Key, found bool) {
	t.Helper()
	popped, err := q.PopDelivered(t.Context(), channel, channel, keys)
	if err != nil || slices.ContainsFunc(popped, func(p bachata.Popped) bool { return p.Found != found }) {
		t.Fatalf("popped %+v, %v, want found %v", popped, err, found)
	}
}

// What a node has noted of a message that another one popped is not taken for the next message with its id.
func TestPopOfFormerMessage(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			o := options(s.Addr())
			at := time.Now()
			o.Now = func() time.Time { return at }
			o.Dedupe, o.SweepEvery = 2*time.Minute, -1
			a, b := two(t, o)
			store(t, a, messages("bob", n))
			former := handedKeys(t, a, "bob")
			pop(t, b, "bob", former, true)
			at = at.Add(3 * time.Minute)
			store(t, a, messages("bob", n))
			pop(t, a, "bob", former, false)
			pop(t, b, "bob", handedKeys(t, b, "bob"), true)
		})
	}
}

// That holds for each message of several, also if they are remembered alike.
func TestPopOfFormerMessageAfterAnother(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := options(s.Addr())
	at := time.Now()
	o.Now = func() time.Time { return at }
	o.Dedupe, o.SweepEvery = 2*time.Minute, -1
	a, b := two(t, o)
	items := messages("bob", 2)
	store(t, a, items[1:])
	former := handedKeys(t, a, "bob")
	pop(t, b, "bob", former, true)
	at = at.Add(3 * time.Minute)
	store(t, a, items)
	keys := append(handedKeys(t, a, "bob")[:1], former...)
	popped, err := a.PopDelivered(t.Context(), "bob", "bob", keys)
	if err != nil || !popped[0].Found || popped[1].Found {
		t.Errorf("popped %+v, %v, want the first found, and not the former message", popped, err)
	}
	want(t, b, "bob", "1")
}

// The name of an inbox may hold the byte that divides elements. Trash in such an inbox names no key of another.
func TestPopOfTrashInDividedName(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	q := openQueue(t, options(s.Addr()))
	const name = "a\xffb"
	put := func(items []bachata.Item) {
		t.Helper()
		for i := range items {
			items[i].Origin, items[i].From = "anna", "anna"
		}
		store(t, q, items)
	}
	put(messages("a", 1))
	pop(t, q, "a", handedKeys(t, q, "a"), true) // anna has had receipts before
	put([]bachata.Item{message("a", 1)})
	put(messages(name, 2))
	keys := handedKeys(t, q, name)
	s.Do("DEL", name+":wait")
	s.Do("RPUSH", name+":wait", "a", "b:1\xff"+name+":0")
	if _, err := q.PopDelivered(t.Context(), name, name, keys); err != nil {
		t.Fatal(err)
	}
	want(t, q, "a", "1")
}

// What is put by a node whose clock is behind is popped in one call as well, and not by the script for all cases, which writes
// every state anew.
func TestPopOfNodeBehind(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			o := options(s.Addr())
			o.SweepEvery = -1
			at := time.Now()
			o.Now = func() time.Time { return at }
			q := openQueue(t, o)
			items := messages("bob", n+1)
			store(t, q, items[:1])
			pop(t, q, "bob", handedKeys(t, q, "bob"), true)
			at = at.Add(-time.Second)
			store(t, q, items[1:])
			keys := handedKeys(t, q, "bob")
			at = at.Add(time.Second)
			s.Do("CONFIG", "RESETSTAT")
			pop(t, q, "bob", keys, true)
			stats := s.Do("INFO", "commandstats")
			if !strings.Contains(stats, "cmdstat_evalsha:calls=1,") || !strings.Contains(stats, "cmdstat_setrange:calls=1,") {
				t.Errorf("the pop took %s", stats)
			}
		})
	}
}

// A message to several is remembered until the last of them has it. What a node has noted of it in an inbox that it has left
// is not taken for the message of another sender that has the same key there now.
func TestPopOfFormerMessageToSeveral(t *testing.T) {
	t.Parallel()
	for _, many := range []int{32, 1} { // receipts in the record, and apart from it
		for _, n := range []int{1, 2} {
			t.Run(fmt.Sprint(n, " apart from ", many), func(t *testing.T) {
				t.Parallel()
				s := redistest.Start(t)
				o := redis.ApartFrom(options(s.Addr()), many)
				o.SweepEvery = -1
				a, b := two(t, o)
				put := func(origin, dest string, channels ...string) {
					t.Helper()
					items := messages("bob", n)
					for i := range items {
						items[i].Channels, items[i].Origin, items[i].From, items[i].Dest = channels, origin, origin, dest
					}
					store(t, a, items)
				}
				put("anna", "carl", "carl")
				pop(t, a, "carl", handedKeys(t, a, "carl"), true) // anna has had receipts before
				put("anna", "team", "bob", "dora")
				former := handedKeys(t, a, "bob")
				pop(t, b, "bob", former, true)
				put("carl", "bob", "bob")
				next := handedKeys(t, b, "bob")
				pop(t, a, "bob", former, false)
				pop(t, b, "bob", next, true)
			})
		}
	}
}
