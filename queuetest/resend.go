package queuetest

import (
	"time"

	"github.com/bachata-go/bachata"
)

// resendClauses are about what is put again after it was delivered.
func resendClauses() []clause {
	return []clause{
		{
			name: "resend/delivered", mode: reliableMode,
			text: "put again within the window it is the same message, and the receipts that it already has are put into the inbox of Origin once more",
			run: func(x *fixture) {
				m := message("1", "bob")
				x.stored(m)
				x.popped("bob", "Bobby", byID("1"))
				x.holds("anna", `300 "1" from Bobby dest bob`)
				first := x.fetch("anna")
				x.clear("anna")
				for range 3 {
					x.answered(m, bachata.Duplicate)
					x.holds("anna", `300 "1" from Bobby dest bob`)
					again := x.fetch("anna")
					if len(first) == 1 && len(again) == 1 && again[0].Time != first[0].Time {
						x.broken("the receipt was stamped %d, the repeated one %d", first[0].Time, again[0].Time)
					}
					x.clear("anna")
				}
				x.holds("bob")
			},
		}, {
			name: "resend/same time", mode: reliableMode, needs: needClock,
			text: "a repeated receipt says when the message was delivered, not when it was put again",
			run: func(x *fixture) {
				m := message("1", "bob")
				x.stored(m)
				x.popped("bob", "bob", byID("1"))
				want := x.store.Now().UnixMilli()
				x.clear("anna")
				x.store.Advance(time.Minute)
				x.answered(m, bachata.Duplicate)
				x.soon(func() string {
					return differ("inbox of anna", describeAll(x.fetch("anna")), []string{`300 "1" from bob dest bob`})
				})
				for _, e := range x.fetch("anna") {
					if d := e.Time - want; d < -1000 || d > 30_000 {
						x.broken("delivered at %d, the repeated receipt says %d", want, e.Time)
					}
				}
			},
		}, {
			name: "resend/several channels", mode: reliableMode,
			text: "a message that several channels confirmed is put again: each of its receipts comes once more",
			run: func(x *fixture) {
				m := message("1", "bob", "eve", "max")
				x.stored(m)
				x.popped("bob", "bob", byID("1"))
				x.popped("eve", "Eve", byID("1"))
				x.clear("anna")
				x.answered(m, bachata.Duplicate, bachata.Duplicate, bachata.Duplicate)
				x.soon(func() string {
					return differUnordered("inbox of anna", describeAll(x.fetch("anna")),
						[]string{`300 "1" from bob dest bob`, `300 "1" from Eve dest bob`})
				})
				x.holds("max", `"1"`)
			},
		}, {
			name: "resend/spelling", mode: reliableMode,
			text: "a repeated receipt spells the id as the message that was stored did",
			run: func(x *fixture) {
				m := message("7", "bob")
				m.ID.Number = true
				x.stored(m)
				x.popped("bob", "bob", byID("7"))
				x.clear("anna")
				x.answered(m, bachata.Duplicate)
				x.holds("anna", `300 7 from bob dest bob`)
			},
		}, {
			name: "resend/no receipt", mode: reliableMode,
			text: "what gets no receipt gets none when it is put again either",
			run: func(x *fixture) {
				m := message("1", "bob")
				m.NoReceipt = true
				server := messageFrom("", "1", "bob")
				x.stored(m, server)
				x.popped("bob", "bob", byID("1"), byID("1"))
				x.answered(m, bachata.Duplicate)
				x.answered(server, bachata.Duplicate)
				x.holds("anna")
				x.holds("bob")
				x.holds("")
			},
		}, {
			name: "resend/in one call", mode: reliableMode,
			text: "a delivered message that is put twice in one call is Duplicate both times, and stored by neither",
			run: func(x *fixture) {
				m := message("1", "bob")
				x.stored(m)
				x.popped("bob", "bob", byID("1"))
				for i, r := range x.put(m, m) {
					if r[0] != bachata.Duplicate {
						x.broken("item %d was answered %v, want duplicate", i, r[0])
					}
				}
				x.holds("bob")
			},
		},
	}
}

// windowClauses are about how long an id is remembered.
func windowClauses() []clause {
	window := bachata.QueueOptions{Dedupe: 10 * time.Minute}
	return []clause{
		{
			name: "window/stated", mode: reliableMode, options: window,
			text: "Info().Dedupe is the window within which a resent id is recognized at this moment",
			run: func(x *fixture) {
				if got := x.q.Info().Dedupe; got != 10*time.Minute {
					x.broken("Info().Dedupe = %v, the queue was made for 10m", got)
				}
			},
		}, {
			name: "window/within", mode: reliableMode, needs: needClock, options: window,
			text: "a delivered message is recognized for the whole dedupe window after it was accepted",
			run: func(x *fixture) {
				m := message("1", "bob")
				x.stored(m)
				x.popped("bob", "bob", byID("1"))
				for range 9 {
					x.store.Advance(time.Minute)
					x.stored(message(x.nextID(), "bob"))
					x.answered(m, bachata.Duplicate)
				}
				x.store.Advance(59 * time.Second)
				x.answered(m, bachata.Duplicate)
			},
		}, {
			name: "window/passed", mode: reliableMode, needs: needClock, options: window,
			text: "what is neither pending nor within the window is a new message; putting it again has not made the window longer",
			run: func(x *fixture) {
				m := message("1", "bob")
				x.stored(m)
				x.popped("bob", "bob", byID("1"))
				x.clear("anna")
				x.store.Advance(9 * time.Minute)
				x.answered(m, bachata.Duplicate)
				x.clear("anna")
				for range 13 { // a queue may forget by halves and quarters of the window
					x.store.Advance(time.Minute)
					x.stored(message(x.nextID(), "eve"))
				}
				x.answered(m, bachata.Stored)
				x.holds("bob", `"1"`)
				x.holds("anna")
				x.popped("bob", "bob", byID("1"))
				x.holds("anna", `300 "1" from bob dest bob`)
			},
		}, {
			name: "window/pending past it", mode: reliableMode, needs: needClock, options: window,
			text: "a message that is still pending is recognized however long ago it was accepted",
			run: func(x *fixture) {
				m := message("1", "bob")
				x.stored(m)
				for range 50 {
					x.store.Advance(time.Minute)
					x.stored(message(x.nextID(), "eve"))
				}
				x.answered(m, bachata.Duplicate)
				x.holds("bob", `"1"`)
				x.popped("bob", "bob", byID("1"))
				x.missed("bob", byID("1"))
			},
		}, {
			name: "window/forgetting takes nothing pending", mode: reliableMode, needs: needClock, options: window,
			text: "a message stays in its inbox when its id is past the window, and is receipted as any other",
			run: func(x *fixture) {
				m := message("1", "bob", "eve")
				x.stored(m)
				x.popped("eve", "eve", byID("1"))
				x.clear("anna")
				x.store.Advance(2 * time.Hour)
				x.stored(message("2", "max"))
				x.holds("bob", `"1"`)
				x.popped("bob", "bob", byID("1"))
				x.holds("anna", `300 "1" from bob dest bob`)
			},
		}, {
			name: "window/cap", mode: reliableMode, needs: needClock, options: bachata.QueueOptions{Dedupe: time.Hour, DedupeCap: 1000},
			text: "the window shrinks when the cap on remembered ids is reached, Info says so, and what it says holds",
			run:  func(x *fixture) { x.reachCap() },
		},
	}
}

// reachCap puts far more ids than the queue may remember and holds it to the window that it then states.
func (x *fixture) reachCap() {
	const step = 10 * time.Second
	var sent []bachata.Item
	for range 40 {
		var batch []bachata.Item
		for range 100 {
			batch = append(batch, message(x.nextID(), "bob"))
		}
		x.stored(batch...)
		x.popped("bob", "bob", keysOf(batch)...)
		sent = append(sent, batch[0])
		x.store.Advance(step)
	}
	window := x.q.Info().Dedupe
	if window <= 0 || window >= time.Hour {
		x.broken("4,000 ids were accepted, 1,000 may be remembered, Info().Dedupe = %v, want less than 1h", window)
	}
	for i, m := range sent {
		if age := time.Duration(len(sent)-i) * step; age < window {
			x.answered(m, bachata.Duplicate)
		}
	}
	x.answered(sent[0], bachata.Stored)
}
