package queuetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bachata-go/bachata"
)

// step does one random operation to the queue and to the model, and returns a complaint if the answers differ.
func (r *modelRun) step() string {
	r.m.since = r.m.now()
	switch n := r.rng.IntN(100); {
	case n < 30:
		return r.put(r.items(6, r.newItem))
	case n < 42:
		return r.put(r.items(3, r.oldItem))
	case n < 67:
		return r.pop()
	case n < 75:
		return r.fetchPart()
	case n < 83:
		return r.check()
	case n < 90:
		return r.advance()
	case n < 93:
		return r.drain(r.channel())
	case n < 96:
		return r.restart()
	default:
		return r.flight()
	}
}

func (r *modelRun) channel() string { return pick(r, modelChannels()) }

func pick[T any](r *modelRun, all []T) T { return all[r.rng.IntN(len(all))] }

// items makes the items of one call, up to most.
func (r *modelRun) items(most int, item func() bachata.Item) []bachata.Item {
	if r.profile.single {
		most = 1
	}
	var all []bachata.Item
	for range 1 + r.rng.IntN(most) {
		all = append(all, item())
	}
	return all
}

// newItem makes an item; as there are few ids, origins and dests, it often is known already.
func (r *modelRun) newItem() bachata.Item {
	m := bachata.Item{
		Origin: pick(r, append(modelChannels(), "")), Dest: pick(r, []string{"a", "b", "group", ""}), From: pick(r, []string{"A", "B", "a", ""}),
		NoReceipt: r.rng.IntN(10) == 0, Payload: r.payload(),
	}
	if r.rng.IntN(10) > 0 {
		// One spelling for each text: how a receipt that is repeated spells an id that was resent in the other way is open.
		n := r.rng.IntN(40)
		m.ID = bachata.ID{Text: fmt.Sprint(n), Number: n%2 == 0}
	}
	channels := modelChannels()
	r.rng.Shuffle(len(channels), func(i, j int) { channels[i], channels[j] = channels[j], channels[i] })
	m.Channels = channels[:1]
	if !r.profile.single {
		m.Channels = channels[:1+r.rng.IntN(3)]
	}
	r.sent = append(r.sent, m)
	return m
}

// payload returns a text that no other item has, of random size.
func (r *modelRun) payload() []byte {
	r.payloads++
	return fmt.Appendf(nil, "text %d%s", r.payloads, strings.Repeat(".", r.rng.IntN(400)))
}

// oldItem returns an item that was put before, sometimes with other content.
func (r *modelRun) oldItem() bachata.Item {
	if len(r.sent) == 0 {
		return r.newItem()
	}
	recent := r.sent[max(0, len(r.sent)-20):]
	m := pick(r, recent)
	if r.rng.IntN(3) == 0 {
		m.Channels = []string{r.channel()}
	}
	if m.ID.IsZero() || r.rng.IntN(3) == 0 {
		m.Payload = r.payload()
	}
	return m
}

func (r *modelRun) put(items []bachata.Item) string {
	for _, m := range items {
		r.note("put %s origin %q from %q dest %q into %q, %d bytes, no receipt %v", m.ID, m.Origin, m.From, m.Dest, m.Channels, len(m.Payload), m.NoReceipt)
	}
	for i, got := range r.x.put(items...) {
		r.note("\tanswered %v", got)
		if c := r.m.put(items[i], got); c != "" {
			return c
		}
	}
	return ""
}

// key names something: what is there, in one of the ways to name it, or what is not there.
func (r *modelRun) key(channel string) bachata.Key {
	waiting := r.fetched[channel]
	if len(waiting) == 0 || r.rng.IntN(6) == 0 {
		if len(r.old) > 0 && r.rng.IntN(2) == 0 {
			return bachata.Key{Cursor: pick(r, r.old)}
		}
		return bachata.Key{ID: fmt.Sprint(r.rng.IntN(45)), From: pick(r, []string{"A", "a", "nobody", ""}), Dest: pick(r, []string{"a", ""})}
	}
	e := pick(r, waiting)
	k := bachata.Key{Cursor: e.Cursor, ID: e.ID.Text, From: e.From, Dest: e.Dest}
	if e.Kind != bachata.KindMessage || e.ID.IsZero() || r.rng.IntN(2) == 0 {
		return bachata.Key{Cursor: e.Cursor}
	}
	k.Cursor = 0
	if r.rng.IntN(2) == 0 {
		k.From = ""
	}
	if r.rng.IntN(2) == 0 {
		k.Dest = ""
	}
	return k
}

func (r *modelRun) pop() string {
	channel, by := r.channel(), pick(r, []string{"B", "b"})
	n := 1
	if !r.profile.single {
		n += r.rng.IntN(4)
	}
	var keys []bachata.Key
	for range n {
		keys = append(keys, r.key(channel))
	}
	return r.popKeys(channel, by, keys)
}

func (r *modelRun) popKeys(channel, by string, keys []bachata.Key) string {
	got := r.x.pop(channel, by, keys...)
	for i, k := range keys {
		r.note("pop from %s by %s: %+v, answered %+v", channel, by, k, got[i])
		had := r.fetched[channel]
		var want bachata.Popped
		g := slices.IndexFunc(had, func(e bachata.Envelope) bool { return e.Kind == bachata.KindGap && e.Cursor == k.Cursor })
		if g >= 0 {
			want = bachata.Popped{Found: true, Cursor: k.Cursor}
			r.m.inbox(channel).popGap(had, had[g])
		} else {
			want = r.m.pop(channel, by, k)
		}
		if got[i].Found != want.Found || want.Found && got[i].Cursor != want.Cursor {
			return fmt.Sprintf("PopDelivered(%q, %+v) answered %+v, want %+v", channel, k, got[i], want)
		}
		r.fetched[channel] = slices.DeleteFunc(slices.Clone(had), func(e bachata.Envelope) bool { return want.Found && e.Cursor == want.Cursor })
	}
	return ""
}

// drain takes everything off an inbox, as a reader that comes back would.
func (r *modelRun) drain(channel string) string {
	for _, e := range r.fetched[channel] {
		if c := r.popKeys(channel, channel, []bachata.Key{at(e)}); c != "" {
			return c
		}
	}
	return ""
}

// fetchPart reads from anywhere, with limits, and compares with the part of the whole inbox that this is.
func (r *modelRun) fetchPart() string {
	channel := r.channel()
	after := bachata.Cursor(0)
	if len(r.old) > 0 {
		after = pick(r, r.old)
	}
	limit := bachata.Limit{Messages: r.rng.IntN(6), Bytes: r.rng.IntN(1500)}
	r.note("fetch from %s after %d, %+v", channel, after, limit)
	var want []bachata.Envelope
	bytes := 0
	for _, e := range r.fetched[channel] {
		if e.Cursor <= after {
			continue
		}
		if limit.Messages > 0 && len(want) == limit.Messages {
			break
		}
		if bytes += len(e.Payload); limit.Bytes > 0 && bytes > limit.Bytes && len(want) > 0 {
			break
		}
		want = append(want, e)
	}
	return differ(fmt.Sprintf("Fetch(%q, %d, %+v)", channel, after, limit), describeAll(r.x.fetchAfter(channel, after, limit)), describeAll(want))
}

func (r *modelRun) check() string {
	channel := r.channel()
	k := r.key(channel)
	b := r.m.inbox(channel)
	i := b.find(k)
	want := i < 0 || b.entries[i].kind != bachata.KindMessage
	got, err := r.x.q.CheckDelivered(r.x.ctx, channel, k)
	r.x.mustHold(err, "CheckDelivered")
	r.note("check %s: %+v, answered %v", channel, k, got)
	if got != want {
		return fmt.Sprintf("CheckDelivered(%q, %+v) = %v, want %v", channel, k, got, want)
	}
	return ""
}

func (r *modelRun) advance() string {
	if r.b.NoClock || r.profile.time == 0 {
		return ""
	}
	d := time.Duration(1+r.rng.IntN(int(r.profile.time/time.Minute))) * time.Minute
	r.note("time goes on by %v", d)
	r.x.store.Advance(d)
	r.m.expire()
	return ""
}

// restart closes the queue and opens it again, or crashes it.
func (r *modelRun) restart() string {
	if !r.x.info.Durable {
		return ""
	}
	if r.x.store.Crash != nil && r.rng.IntN(3) > 0 {
		r.note("crash")
		r.x.crash()
	} else {
		r.note("close and open")
		r.x.reopen()
	}
	r.opened()
	return ""
}

// opened starts over with what a new queue gives out.
func (r *modelRun) opened() {
	r.m.reopened()
	r.mu.Lock()
	clear(r.wakes)
	r.mu.Unlock()
	r.old = nil
	r.watchAll()
}
