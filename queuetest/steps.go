package queuetest

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/bachata-go/bachata"
)

// message is an item with a string id from anna, whose inbox gets its receipts, to the channels; the first of them is
// its dest.
func message(id string, channels ...string) bachata.Item {
	return messageFrom("anna", id, channels...)
}

func messageFrom(origin, id string, channels ...string) bachata.Item {
	return bachata.Item{
		Channels: channels, ID: bachata.StringID(id), Origin: origin, From: origin, Dest: channels[0],
		Payload: []byte(`{"id":"` + id + `","type":"direct","data":"from ` + origin + `"}`),
	}
}

// nameless is an item without an id; the text is its payload.
func nameless(text string, channels ...string) bachata.Item {
	m := message("", channels...)
	m.ID, m.Payload = bachata.ID{}, []byte(text)
	return m
}

// byID is the key that a 200 without from and dest makes.
func byID(id string) bachata.Key { return bachata.Key{ID: id} }

// at is the key of the envelope e.
func at(e bachata.Envelope) bachata.Key { return bachata.Key{Cursor: e.Cursor} }

func keysOf(items []bachata.Item) []bachata.Key {
	keys := make([]bachata.Key, len(items))
	for i, m := range items {
		keys[i] = byID(m.ID.Text)
	}
	return keys
}

// nextID returns an id that the fixture has not returned before.
func (x *fixture) nextID() string {
	x.ids++
	return fmt.Sprint("id-", x.ids)
}

// put puts items in one call and checks the shape of the result.
func (x *fixture) put(items ...bachata.Item) []bachata.PutResult {
	x.Helper()
	res, err := x.q.Put(x.ctx, items)
	x.mustHold(err, "Put")
	if c := misshapen(items, res); c != "" {
		x.Fatalf("contract broken: %s", c)
	}
	return res
}

// misshapen says what no result of Put may look like, whichever clause is being checked.
func misshapen(items []bachata.Item, res []bachata.PutResult) string {
	if len(res) != len(items) {
		return "the result of Put has one entry an item"
	}
	down := map[string]bool{}
	for i, r := range res {
		if len(r) != len(items[i].Channels) {
			return "a PutResult has one status for each channel"
		}
		for j, s := range r {
			channel := items[i].Channels[j]
			if down[channel] && s != bachata.Unavailable {
				return "if an item is Unavailable on a channel, the later items of the call are Unavailable on it too"
			}
			down[channel] = down[channel] || s == bachata.Unavailable
		}
	}
	return ""
}

// stored puts items that have to be taken by every channel.
func (x *fixture) stored(items ...bachata.Item) {
	x.Helper()
	for i, r := range x.put(items...) {
		for j, s := range r {
			if s != bachata.Stored {
				x.broken("Put of %s into %q answered %v, want stored", items[i].ID, items[i].Channels[j], s)
			}
		}
	}
}

// answered puts one item and compares the statuses.
func (x *fixture) answered(item bachata.Item, want ...bachata.PutStatus) {
	x.Helper()
	if got := x.put(item)[0]; !slices.Equal(got, bachata.PutResult(want)) {
		x.broken("Put of %s into %q answered %v, want %v", item.ID, item.Channels, got, want)
	}
}

// fetch reads the whole inbox.
func (x *fixture) fetch(channel string) []bachata.Envelope {
	x.Helper()
	return x.fetchAfter(channel, 0, bachata.Limit{})
}

func (x *fixture) fetchAfter(channel string, after bachata.Cursor, limit bachata.Limit) []bachata.Envelope {
	x.Helper()
	envs, err := x.q.Fetch(x.ctx, channel, after, limit)
	x.mustHold(err, "Fetch")
	last := after
	for _, e := range envs {
		if x.mode == bachata.Reliable && e.Cursor <= last {
			x.Fatalf("contract broken: later envelopes of an inbox have larger cursors\n\tFetch(%q, %d) returned %d after %d",
				channel, after, e.Cursor, last)
		}
		last = e.Cursor
	}
	return envs
}

// holds checks what the inbox has in it, spelled as describe does; now, or soon if the queue is not atomic.
func (x *fixture) holds(channel string, want ...string) {
	x.Helper()
	x.soon(func() string { return differ("inbox of "+channel, describeAll(x.fetch(channel)), want) })
}

// only returns the one envelope that the inbox has.
func (x *fixture) only(channel string) bachata.Envelope {
	x.Helper()
	envs := x.fetch(channel)
	if len(envs) != 1 {
		x.Fatalf("contract broken: %s\n\tthe inbox of %s has %s, want one envelope", x.clause, channel, lines(describeAll(envs)))
	}
	return envs[0]
}

// holdsItems checks that the inbox has these messages and nothing else, in this order, as they were put. In simple mode it
// takes them out.
func (x *fixture) holdsItems(channel string, items ...bachata.Item) {
	x.Helper()
	var got, want []string
	for _, e := range x.fetch(channel) {
		got = append(got, x.spell(e.Kind, e.ID, e.From, e.Dest, e.Payload))
	}
	for _, m := range items {
		want = append(want, x.spell(bachata.KindMessage, m.ID, m.From, m.Dest, m.Payload))
	}
	if c := differ("inbox of "+channel, got, want); c != "" {
		x.broken("%s", c)
	}
}

// spell writes down what an envelope has to have in common with its item: in simple mode that is the text only.
func (x *fixture) spell(kind bachata.Kind, id bachata.ID, from, dest string, payload []byte) string {
	text := string(payload)
	if len(text) > 100 {
		text = fmt.Sprintf("%s... (%d bytes, sha256 %x)", text[:20], len(text), sha256.Sum256(payload))
	}
	if x.mode == bachata.Simple {
		return text
	}
	return fmt.Sprintf("kind %d id %s from %s dest %s: %s", kind, id, from, dest, text)
}

// popped pops what has to be there.
func (x *fixture) popped(channel, by string, keys ...bachata.Key) {
	x.Helper()
	for i, p := range x.pop(channel, by, keys...) {
		if !p.Found || p.Cursor == 0 {
			x.broken("PopDelivered(%q, %+v) = %+v, want it found, with its cursor", channel, keys[i], p)
		}
	}
}

// missed pops what must not be there.
func (x *fixture) missed(channel string, keys ...bachata.Key) {
	x.Helper()
	for i, p := range x.pop(channel, "nobody", keys...) {
		if p.Found {
			x.broken("PopDelivered(%q, %+v) = %+v, want it not found", channel, keys[i], p)
		}
	}
}

func (x *fixture) pop(channel, by string, keys ...bachata.Key) []bachata.Popped {
	x.Helper()
	res, err := x.q.PopDelivered(x.ctx, channel, by, keys)
	x.mustHold(err, "PopDelivered")
	if len(res) != len(keys) {
		x.Fatalf("contract broken: PopDelivered answers each key\n\t%d answers to %d keys", len(res), len(keys))
	}
	return res
}

// clear takes everything off an inbox, messages too, by cursor.
func (x *fixture) clear(channel string) {
	x.Helper()
	for _, e := range x.fetch(channel) {
		x.popped(channel, channel, at(e))
	}
}

// delivered checks CheckDelivered.
func (x *fixture) delivered(channel string, key bachata.Key, want bool) {
	x.Helper()
	got, err := x.q.CheckDelivered(x.ctx, channel, key)
	x.mustHold(err, "CheckDelivered")
	if got != want {
		x.broken("CheckDelivered(%q, %+v) = %v, want %v", channel, key, got, want)
	}
}
