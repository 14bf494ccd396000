package queuetest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/bachata-go/bachata"
)

// flown is one call that was in flight when the queue crashed.
type flown struct {
	item    bachata.Item // of a put
	channel string       // of a pop
	key     bachata.Key
	entry   *modelEntry // that the key names
	acked   bool        // it had returned before the crash: it must have happened
}

func (f *flown) isPut() bool { return f.channel == "" }

// flight crashes the queue while calls are in flight. What had returned has happened; of the rest each call has happened
// as a whole or not at all, which the model learns from what is found.
func (r *modelRun) flight() string {
	if !r.profile.flight || !r.x.info.Durable || !r.x.info.Atomic || r.x.store.Crash == nil {
		return r.restart()
	}
	calls := r.launch()
	r.x.open()
	r.opened()

	found := map[string][]string{}
	for _, channel := range modelChannels() {
		for _, e := range r.x.fetch(channel) {
			found[channel] = append(found[channel], string(e.Payload))
		}
	}
	for _, f := range calls {
		if c := r.learn(f, found); c != "" {
			return c
		}
	}
	if c := r.compare(true); c != "" {
		return c
	}
	for _, f := range calls { // a resend finds what happened and does what did not
		if f.isPut() && !f.acked {
			if c := r.put([]bachata.Item{f.item}); c != "" {
				return c
			}
		}
	}
	return ""
}

// launch starts calls that have nothing to do with each other, crashes the queue in the midst of them, and waits for them.
func (r *modelRun) launch() []flown {
	var calls []flown
	used := map[string]bool{}
	for range 2 + r.rng.IntN(12) {
		channel := r.channel()
		if waiting := r.fetched[channel]; len(waiting) > 0 && r.rng.IntN(2) == 0 {
			if e := pick(r, waiting); e.Kind == bachata.KindMessage && !used[fmt.Sprint(channel, e.Cursor)] {
				used[fmt.Sprint(channel, e.Cursor)] = true
				b := r.m.inbox(channel)
				calls = append(calls, flown{channel: channel, key: at(e), entry: b.entries[b.find(at(e))]})
			}
			continue
		}
		m := r.newItem()
		m.ID = bachata.StringID(fmt.Sprint("flight-", len(r.sent))) // unknown to all others
		r.sent[len(r.sent)-1] = m
		calls = append(calls, flown{item: m})
	}
	q := r.x.q
	returned := make(chan int, len(calls))
	var wg sync.WaitGroup
	for i, f := range calls {
		wg.Go(func() {
			var err error
			if f.isPut() {
				_, err = q.Put(r.x.ctx, []bachata.Item{f.item})
			} else {
				_, err = q.PopDelivered(r.x.ctx, f.channel, "B", []bachata.Key{f.key})
			}
			if err == nil {
				returned <- i
			}
		})
	}
	for range r.rng.IntN(len(calls) + 1) {
		calls[<-returned].acked = true
	}
	r.x.store.Crash()
	_ = q.Close() // belongs to the past; with it the calls come to an end
	wg.Wait()
	for _, f := range calls {
		r.note("in flight: put %s into %q, pop %+v from %q; returned before the crash: %v", f.item.ID, f.item.Channels, f.key, f.channel, f.acked)
	}
	return calls
}

// learn finds out by the payload, which is unique, whether a call has happened, and applies it to the model if so.
// Whether a pop left its receipt if, and only if, it has happened, is found when everything is compared.
func (r *modelRun) learn(f flown, found map[string][]string) string {
	if !f.isPut() {
		gone := !slices.Contains(found[f.channel], string(f.entry.message.item.Payload))
		if f.acked && !gone {
			return fmt.Sprintf("the pop of %s from %q had returned before the crash, the message is back", f.entry.describe(), f.channel)
		}
		if gone {
			r.m.take(f.channel, "B", f.entry)
		}
		return ""
	}
	var in []string
	for _, channel := range f.item.Channels {
		if slices.Contains(found[channel], string(f.item.Payload)) {
			in = append(in, channel)
		}
	}
	switch {
	case f.acked && len(in) < len(f.item.Channels):
		return fmt.Sprintf("the put of %s into %q had returned before the crash, it is in %q", f.item.ID, f.item.Channels, in)
	case len(in) == 0:
		return ""
	case len(in) < len(f.item.Channels):
		return fmt.Sprintf("%s was put into %q, after the crash it is in %q only", f.item.ID, f.item.Channels, in)
	}
	return r.m.put(f.item, slices.Repeat(bachata.PutResult{bachata.Stored}, len(in)))
}
