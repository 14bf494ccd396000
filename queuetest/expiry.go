package queuetest

import (
	"fmt"
	"time"

	"github.com/bachata-go/bachata"
)

func expiryClauses() []clause {
	aging := bachata.QueueOptions{InboxAge: 10 * time.Minute, SweepEvery: 20 * time.Millisecond}
	return []clause{
		{
			name: "expiry/told", mode: reliableMode, needs: needClock, options: aging,
			text: "a message that grows too old leaves its inbox: 480 to its sender, and a gap where it was",
			run: func(x *fixture) {
				m := message("0", "bob")
				m.Dest = "friends"
				x.stored(m, message("1", "bob"))
				x.store.Advance(5 * time.Minute)
				x.stored(message("2", "bob"))
				from := x.store.Now()
				x.store.Advance(6 * time.Minute)
				x.later(func() string {
					return differUnordered("inbox of anna", describeAll(x.fetch("anna")),
						[]string{`480 "0" from bob dest friends`, `480 "1" from bob dest bob`})
				})
				envs := x.fetch("bob")
				if c := differ("messages", describeAll(withoutGaps(envs)), []string{`"2"`}); c != "" {
					x.broken("%s", c)
				}
				if g := gaps(envs); g != (bachata.Gap{Expired: 2}) {
					x.broken("2 messages expired, the gaps add up to %+v", g)
				}
				if n := len(envs); n == 0 || envs[n-1].Kind != bachata.KindMessage {
					x.broken("the gap stands behind the message that came after it: %s", lines(describeAll(envs)))
				}
				for _, e := range x.fetch("anna") {
					if e.Time < from.UnixMilli()-1000 || e.Time > x.store.Now().UnixMilli()+1000 {
						x.broken("%s is stamped %d, it expired between %d and %d", describe(e), e.Time, from.UnixMilli(), x.store.Now().UnixMilli())
					}
				}
			},
		}, {
			name: "expiry/by itself", mode: reliableMode, needs: needClock, options: aging,
			text: "the sender is told that a message expired though nobody touches the inbox that it was in",
			run: func(x *fixture) {
				x.stored(message("0", "bob"))
				x.store.Advance(11 * time.Minute)
				x.later(func() string {
					return differ("inbox of anna", describeAll(x.fetch("anna")), []string{`480 "0" from bob dest bob`})
				})
			},
		}, {
			name: "expiry/not before", mode: reliableMode, needs: needClock, options: aging,
			text: "a message waits for as long as it may",
			run: func(x *fixture) {
				x.stored(message("0", "bob"))
				for range 9 {
					x.store.Advance(time.Minute)
					x.holds("bob", `"0"`)
				}
				x.store.Advance(55 * time.Second)
				x.holds("bob", `"0"`)
				x.popped("bob", "bob", byID("0"))
				x.store.Advance(time.Minute)
				x.holds("anna", `300 "0" from bob dest bob`)
			},
		}, {
			name: "expiry/gone", mode: reliableMode, needs: needClock, options: aging,
			text: "what expired is not there: no confirmation makes a receipt of it, it does not wait, and it is known while the window lasts",
			run: func(x *fixture) {
				m := message("0", "bob")
				x.stored(m)
				k := at(x.only("bob"))
				x.store.Advance(11 * time.Minute)
				x.later(func() string {
					return differ("messages", describeAll(withoutGaps(x.fetch("bob"))), nil)
				})
				x.delivered("bob", byID("0"), true)
				x.delivered("bob", k, true)
				x.missed("bob", byID("0"))
				x.pop("bob", "bob", k) // may find the gap, which may stand where the message stood
				x.holds("anna", `480 "0" from bob dest bob`)
				x.answered(m, bachata.Duplicate)
				if c := differ("messages", describeAll(withoutGaps(x.fetch("bob"))), nil); c != "" {
					x.broken("%s", c)
				}
			},
		}, {
			name: "expiry/only some channels", mode: reliableMode, needs: needClock, options: aging,
			text: "a message that was confirmed on one channel and expired on another makes a receipt of each",
			run: func(x *fixture) {
				x.stored(message("0", "bob", "eve"))
				x.popped("eve", "eve", byID("0"))
				x.store.Advance(11 * time.Minute)
				x.later(func() string {
					return differ("inbox of anna", describeAll(x.fetch("anna")), []string{`300 "0" from eve dest bob`, `480 "0" from bob dest bob`})
				})
				if g := gaps(x.fetch("eve")); g != (bachata.Gap{}) {
					x.broken("the inbox of eve, who confirmed in time, has a gap %+v", g)
				}
			},
		}, {
			name: "expiry/no receipt", mode: reliableMode, needs: needClock, options: aging,
			text: "what has no Origin or no id expires without a receipt, but not without a gap",
			run: func(x *fixture) {
				x.stored(messageFrom("", "0", "bob"), nameless("text", "bob"))
				x.store.Advance(11 * time.Minute)
				x.later(func() string {
					if envs := x.fetch("bob"); len(withoutGaps(envs)) != 0 || gaps(envs) != (bachata.Gap{Expired: 2}) {
						return "2 messages expired, the inbox has " + lines(describeAll(envs))
					}
					return ""
				})
				x.holds("anna")
				x.holds("")
			},
		}, {
			name: "expiry/makes room", mode: bothModes, needs: needClock,
			options: bachata.QueueOptions{InboxAge: 10 * time.Minute, InboxMessages: 3, SweepEvery: 20 * time.Millisecond},
			text:    "what expired takes no room in its inbox",
			run: func(x *fixture) {
				x.stored(message("0", "bob"), message("1", "bob"), message("2", "bob"))
				x.answered(message("3", "bob"), bachata.Full)
				x.store.Advance(11 * time.Minute)
				m := message("4", "bob")
				x.later(func() string {
					if s := x.put(m)[0][0]; s != bachata.Stored && s != bachata.Duplicate {
						return fmt.Sprintf("all 3 messages have expired, Put answers %v", s)
					}
					return ""
				})
			},
		}, {
			name: "expiry/simple", mode: simpleMode, needs: needClock, options: aging,
			text: "a message that grows too old leaves its inbox",
			run: func(x *fixture) {
				x.stored(message("0", "bob"), message("1", "bob"))
				x.store.Advance(11 * time.Minute)
				x.stored(message("2", "bob"))
				if c := differ("texts", x.take("bob", bachata.Limit{}), payloads(message("2", "bob"))); c != "" {
					x.broken("%s", c)
				}
			},
		}, {
			name: "receipts/age", mode: reliableMode, needs: needClock,
			options: bachata.QueueOptions{ReceiptAge: 10 * time.Minute, SweepEvery: 20 * time.Millisecond},
			text:    "a receipt that nobody fetched for too long goes, and a gap says so",
			run: func(x *fixture) {
				x.stored(message("0", "bob"), message("1", "bob"))
				x.popped("bob", "bob", byID("0"))
				x.store.Advance(6 * time.Minute)
				x.popped("bob", "bob", byID("1"))
				x.store.Advance(5 * time.Minute)
				x.later(func() string {
					envs := x.fetch("anna")
					if g := gaps(envs); g != (bachata.Gap{Receipts: 1}) {
						return fmt.Sprintf("1 receipt grew too old, the gaps add up to %+v", g)
					}
					return differ("receipts", describeAll(withoutGaps(envs)), []string{`300 "1" from bob dest bob`})
				})
			},
		}, {
			name: "receipts/age of a repeated one", mode: reliableMode, needs: needClock,
			options: bachata.QueueOptions{ReceiptAge: 10 * time.Minute, Dedupe: time.Hour, SweepEvery: 20 * time.Millisecond},
			text:    "a receipt that is put into the inbox once more waits as long as any other, however long ago the message was delivered",
			run: func(x *fixture) {
				m := message("0", "bob")
				x.stored(m)
				x.popped("bob", "bob", byID("0"))
				x.clear("anna")
				x.store.Advance(20 * time.Minute)
				x.answered(m, bachata.Duplicate)
				x.holds("anna", `300 "0" from bob dest bob`)
				x.store.Advance(9 * time.Minute)
				x.holds("anna", `300 "0" from bob dest bob`)
			},
		},
	}
}
