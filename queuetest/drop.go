package queuetest

import (
	"fmt"

	"github.com/bachata-go/bachata"
)

// gaps adds up the gaps in envs.
func gaps(envs []bachata.Envelope) bachata.Gap {
	var sum bachata.Gap
	for _, e := range envs {
		if e.Kind == bachata.KindGap {
			sum.Dropped += e.Gap.Dropped
			sum.Expired += e.Gap.Expired
			sum.Receipts += e.Gap.Receipts
		}
	}
	return sum
}

// without returns what envs holds besides gaps.
func withoutGaps(envs []bachata.Envelope) []bachata.Envelope {
	var rest []bachata.Envelope
	for _, e := range envs {
		if e.Kind != bachata.KindGap {
			rest = append(rest, e)
		}
	}
	return rest
}

func dropClauses() []clause {
	three := bachata.QueueOptions{InboxMessages: 3, DropOldest: true}
	return []clause{
		{
			name: "drop/oldest", mode: reliableMode, options: three,
			text: "a full inbox drops its oldest message, if so configured: 481 to its sender, and a gap where it was",
			run: func(x *fixture) {
				m := message("0", "bob")
				m.Dest = "friends"
				x.stored(m, messageFrom("eve", "1", "bob"), message("2", "bob"), message("3", "bob"))
				x.holds("bob", `gap dropped=1 expired=0 receipts=0`, `"1"`, `"2"`, `"3"`)
				x.holds("anna", `481 "0" from bob dest friends`)
				x.stored(message("4", "bob"))
				x.holds("eve", `481 "1" from bob dest bob`)
				if c := differ("messages", describeAll(withoutGaps(x.fetch("bob"))), []string{`"2"`, `"3"`, `"4"`}); c != "" {
					x.broken("%s", c)
				}
				if g := gaps(x.fetch("bob")); g != (bachata.Gap{Dropped: 2}) {
					x.broken("2 messages were dropped, the gaps add up to %+v", g)
				}
			},
		}, {
			name: "drop/count", mode: reliableMode, options: three,
			text: "gaps add up to what was dropped, and do not fill the inbox themselves",
			run: func(x *fixture) {
				var batch []bachata.Item
				for i := range 50 {
					batch = append(batch, message(fmt.Sprint(i), "bob"))
				}
				x.stored(batch[:20]...)
				for _, m := range batch[20:] {
					x.stored(m)
				}
				envs := x.fetch("bob")
				if g := gaps(envs); g != (bachata.Gap{Dropped: 47}) {
					x.broken("47 messages were dropped, the gaps add up to %+v", g)
				}
				if c := differ("messages", describeAll(withoutGaps(envs)), []string{`"47"`, `"48"`, `"49"`}); c != "" {
					x.broken("%s", c)
				}
				var want []string
				for i := range 47 {
					want = append(want, fmt.Sprintf(`481 "%d" from bob dest bob`, i))
				}
				x.soon(func() string { return differUnordered("inbox of anna", describeAll(x.fetch("anna")), want) })
			},
		}, {
			name: "drop/gap before a reader", mode: reliableMode, options: three,
			text: "a reader in the middle of an inbox meets a gap for what was dropped after its cursor",
			run: func(x *fixture) {
				x.stored(message("0", "bob"), message("1", "bob"), message("2", "bob"), message("3", "bob"))
				gap := x.fetchAfter("bob", 0, bachata.Limit{Messages: 1})
				if len(gap) != 1 || gap[0].Kind != bachata.KindGap {
					x.broken("the inbox starts with %s, want a gap", lines(describeAll(gap)))
					return
				}
				x.stored(message("4", "bob"), message("5", "bob")) // drops 1 and 2
				rest := x.fetchAfter("bob", gap[0].Cursor, bachata.Limit{})
				if len(rest) == 0 || rest[0].Kind != bachata.KindGap || rest[0].Gap.Dropped < 2 {
					x.broken("2 messages were dropped behind the gap that was read, then the reader meets %s", lines(describeAll(rest)))
				}
			},
		}, {
			name: "drop/gap is taken by cursor", mode: reliableMode, options: three,
			text: "a gap is taken by Cursor only, makes no receipt, and takes nothing with it that it did not say when it was read",
			run: func(x *fixture) {
				x.stored(message("0", "bob"), message("1", "bob"), message("2", "bob"), message("3", "bob"))
				x.clear("anna")
				gap := x.fetch("bob")[0]
				x.missed("bob", byID(""), byID("0"), bachata.Key{From: "anna"})
				x.stored(message("4", "bob")) // drops 1
				x.pop("bob", "bob", at(gap))
				if g := gaps(x.fetch("bob")); g.Dropped < 1 {
					x.broken("a gap of 1 was read, another message was dropped, the gap that was read was taken: %+v is left", g)
				}
				x.holds("anna", `481 "1" from bob dest bob`)
				for _, e := range x.fetch("bob") {
					if e.Kind == bachata.KindGap {
						x.popped("bob", "bob", at(e))
						x.missed("bob", at(e))
					}
				}
				x.holds("bob", `"2"`, `"3"`, `"4"`)
				x.holds("anna", `481 "1" from bob dest bob`)
			},
		}, {
			name: "drop/gone", mode: reliableMode, options: three,
			text: "what was dropped is not there: no confirmation makes a receipt of it, it does not wait, and it is known while the window lasts",
			run: func(x *fixture) {
				m := message("0", "bob")
				x.stored(m)
				k := at(x.only("bob"))
				x.stored(message("1", "bob"), message("2", "bob"), message("3", "bob"))
				x.delivered("bob", byID("0"), true)
				x.delivered("bob", k, true)
				x.missed("bob", byID("0"))
				x.pop("bob", "bob", k) // may find the gap, which may stand where the message stood
				x.holds("anna", `481 "0" from bob dest bob`)
				x.answered(m, bachata.Duplicate)
				if c := differ("messages", describeAll(withoutGaps(x.fetch("bob"))), []string{`"1"`, `"2"`, `"3"`}); c != "" {
					x.broken("%s", c)
				}
			},
		}, {
			name: "drop/several channels", mode: reliableMode, options: three,
			text: "what one inbox dropped still waits in the others, and each of them has its own receipt",
			run: func(x *fixture) {
				x.stored(message("0", "bob", "eve"), message("1", "bob"), message("2", "bob"), message("3", "bob"))
				x.holds("eve", `"0"`)
				x.popped("eve", "eve", byID("0"))
				x.holds("anna", `481 "0" from bob dest bob`, `300 "0" from eve dest bob`)
			},
		}, {
			name: "drop/bytes", mode: reliableMode, options: bachata.QueueOptions{InboxBytes: 10_000, DropOldest: true},
			text: "as many of the oldest messages are dropped as it takes to make room, and no more",
			run: func(x *fixture) {
				x.stored(ofBytes("0", 4000, "bob"), ofBytes("1", 4000, "bob"), ofBytes("2", 2000, "bob"))
				x.stored(ofBytes("3", 7000, "bob"))
				if c := differ("messages", describeAll(withoutGaps(x.fetch("bob"))), []string{`"2"`, `"3"`}); c != "" {
					x.broken("%s", c)
				}
				x.answered(ofBytes("never", 10_001, "bob"), bachata.Full)
				if c := differ("messages", describeAll(withoutGaps(x.fetch("bob"))), []string{`"2"`, `"3"`}); c != "" {
					x.broken("something was dropped for what never fits: %s", c)
				}
			},
		}, {
			name: "drop/simple", mode: simpleMode, options: three,
			text: "a full inbox drops its oldest message, if so configured",
			run: func(x *fixture) {
				for i := range 5 {
					x.stored(message(fmt.Sprint(i), "bob"))
				}
				if c := differ("texts", x.take("bob", bachata.Limit{}), payloads(message("2", "bob"), message("3", "bob"), message("4", "bob"))); c != "" {
					x.broken("%s", c)
				}
			},
		}, {
			name: "receipts/bound", mode: reliableMode, options: bachata.QueueOptions{Receipts: 10},
			text: "past a bound of their own the oldest receipts go, and a gap says how many",
			run: func(x *fixture) {
				for i := range 25 {
					x.stored(message(fmt.Sprint(i), "bob"))
					x.popped("bob", "bob", byID(fmt.Sprint(i)))
				}
				var want []string
				for i := 15; i < 25; i++ {
					want = append(want, fmt.Sprintf(`300 "%d" from bob dest bob`, i))
				}
				x.soon(func() string {
					return differ("receipts", describeAll(withoutGaps(x.fetch("anna"))), want)
				})
				if g := gaps(x.fetch("anna")); g != (bachata.Gap{Receipts: 15}) {
					x.broken("15 receipts of 25 went, the gaps add up to %+v", g)
				}
			},
		},
	}
}
