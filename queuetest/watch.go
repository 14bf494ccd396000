package queuetest

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/bachata-go/bachata"
)

// watch watches a channel until the test ends.
func (x *fixture) watch(channel string, wake func(bachata.Wake)) (stop func()) {
	x.Helper()
	stop, err := x.q.Watch(channel, func(w bachata.Wake) {
		w.Envelopes = slices.Clone(w.Envelopes) // which are the queue's again when this returns
		wake(w)
	})
	x.mustHold(err, "Watch")
	return stop
}

// wakes checks that do, repeated if need be, since wake-ups may be lost, makes count grow.
func (x *fixture) wakes(what string, count *atomic.Int64, do func()) {
	x.Helper()
	before := count.Load()
	next := time.Now()
	x.later(func() string {
		if count.Load() > before {
			return ""
		}
		if time.Now().After(next) {
			do()
			next = time.Now().Add(time.Second)
		}
		return what + " woke nobody"
	})
}

func watchClauses() []clause {
	return []clause{
		{
			name: "watch/put", mode: bothModes,
			text: "Watch calls wake when channel may hold something new, for each of its watchers",
			run: func(x *fixture) {
				var one, two atomic.Int64
				x.watch("bob", func(bachata.Wake) { one.Add(1) })
				stop := x.watch("bob", func(bachata.Wake) { two.Add(1) })
				put := func() { x.stored(message(x.nextID(), "eve", "bob")) }
				x.wakes("a put", &one, put)
				x.wakes("a put, of the second watcher,", &two, put)
				stop()
				for range 3 {
					x.wakes("a put after the other watcher stopped", &one, put)
				}
			},
		}, {
			name: "watch/receipt", mode: reliableMode,
			text: "Watch calls wake when a receipt is put into the inbox",
			run: func(x *fixture) {
				var count atomic.Int64
				x.watch("anna", func(bachata.Wake) { count.Add(1) })
				for range 3 {
					x.wakes("a confirmation", &count, func() {
						m := message(x.nextID(), "bob")
						x.stored(m)
						x.popped("bob", "bob", byID(m.ID.Text))
					})
				}
			},
		}, {
			name: "watch/stop", mode: bothModes,
			text: "wake is called until stop is called, and once after it at most; stop may be called twice",
			run: func(x *fixture) {
				var stopped, after, other atomic.Int64
				stop := x.watch("bob", func(bachata.Wake) { after.Add(stopped.Load()) })
				x.watch("bob", func(bachata.Wake) { other.Add(1) })
				x.stored(message(x.nextID(), "bob"))
				stop()
				stopped.Store(1)
				for range 20 {
					x.wakes("a put", &other, func() { x.stored(message(x.nextID(), "bob")) })
				}
				if n := after.Load(); n > 1 {
					x.broken("wake was called %d times after stop", n)
				}
				stop()
			},
		}, {
			name: "watch/again", mode: bothModes,
			text: "a channel may be watched again after its watchers stopped",
			run: func(x *fixture) {
				for range 20 {
					var count atomic.Int64
					stop := x.watch("bob", func(bachata.Wake) { count.Add(1) })
					x.wakes("a put", &count, func() { x.stored(message(x.nextID(), "bob")) })
					stop()
				}
			},
		}, {
			name: "watch/what was there", mode: reliableMode,
			text: "what was put before Watch returned is read by a Fetch",
			run: func(x *fixture) {
				x.stored(message("1", "bob"))
				x.watch("bob", func(bachata.Wake) {})
				x.holds("bob", `"1"`)
			},
		}, {
			name: "watch/reader", mode: reliableMode,
			text: "a reader that trusts Wake.Envelopes only if its own cursor equals Prev, and else fetches, reads everything once and in order",
			run:  func(x *fixture) { x.follow(500) },
		}, {
			name: "watch/envelopes", mode: reliableMode,
			text: "the first of Wake.Envelopes follows directly on Prev, each on the one before it, and each stands at its Cursor",
			run: func(x *fixture) {
				bob, anna := x.wakesOf("bob"), x.wakesOf("anna")
				for range 50 {
					x.stored(message(x.nextID(), "bob"), message(x.nextID(), "bob"))
				}
				all := x.fetch("bob")
				x.bring(bob, all)
				for part := range slices.Chunk(all, 3) {
					var keys []bachata.Key
					for _, e := range part {
						keys = append(keys, at(e))
					}
					x.popped("bob", "bob", keys...)
				}
				x.bring(anna, x.fetch("anna"))
			},
		},
	}
}

// wakesOf collects the wake-ups of channel.
func (x *fixture) wakesOf(channel string) chan bachata.Wake {
	wakes := make(chan bachata.Wake, 1000)
	x.watch(channel, func(w bachata.Wake) { wakes <- w })
	return wakes
}

// bring checks that wake-ups have brought what was fetched.
func (x *fixture) bring(wakes chan bachata.Wake, all []bachata.Envelope) {
	for range len(wakes) {
		w := <-wakes
		for _, e := range w.Envelopes {
			var follows *bachata.Envelope
			for i := range all {
				if all[i].Cursor > w.Prev {
					follows = &all[i]
					break
				}
			}
			if follows == nil || follows.Cursor != e.Cursor || describe(*follows) != describe(e) || follows.Time != e.Time ||
				string(follows.Payload) != string(e.Payload) || follows.From != e.From || follows.Dest != e.Dest {
				x.broken("Wake says that on %d follows %+v, Fetch %+v", w.Prev, e, follows)
				return
			}
			w.Prev = e.Cursor
		}
	}
}

// follow reads an inbox by its wake-ups while n messages are put into it and confirmed.
func (x *fixture) follow(n int) {
	wakes := make(chan bachata.Wake, 16)
	x.watch("bob", func(w bachata.Wake) {
		select {
		case wakes <- w:
		default: // as good as lost, the reader fetches at the next one
		}
	})
	written := make(chan error, 1)
	defer func() { x.mustHold(<-written, "Put") }()
	go func() {
		var err error
		for i := 0; i < n && err == nil; i++ {
			_, err = x.q.Put(x.ctx, []bachata.Item{message(fmt.Sprint(i), "bob")})
		}
		written <- err
	}()
	cursor, read := bachata.Cursor(0), 0
	take := func(e bachata.Envelope) bool {
		if want := fmt.Sprintf("%q", fmt.Sprint(read)); e.Cursor <= cursor || describe(e) != want {
			x.broken("read %s at %d after %d, want %s", describe(e), e.Cursor, cursor, want)
			return false
		}
		cursor = e.Cursor
		read++
		if read%3 == 0 {
			x.popped("bob", "bob", at(e))
		}
		return true
	}
	sweep := time.NewTicker(time.Second) // for the wake-ups that were lost
	defer sweep.Stop()
	for deadline := time.Now().Add(x.patience); read < n && time.Now().Before(deadline); {
		var w bachata.Wake
		select {
		case w = <-wakes:
		case <-sweep.C:
		}
		if len(w.Envelopes) > 0 && w.Prev == cursor {
			for _, e := range w.Envelopes {
				if !take(e) {
					return
				}
			}
			continue
		}
		for page := []bachata.Envelope{{}}; len(page) > 0; {
			page = x.fetchAfter("bob", cursor, bachata.Limit{Messages: 5})
			for _, e := range page {
				if !take(e) {
					return
				}
			}
		}
	}
	if read < n {
		x.broken("%d messages were put, the reader got %d", n, read)
	}
}
