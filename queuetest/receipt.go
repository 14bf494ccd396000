package queuetest

import (
	"fmt"

	"github.com/bachata-go/bachata"
)

func receiptClauses() []clause {
	return []clause{
		{
			name: "receipt/one", mode: reliableMode,
			text: "PopDelivered commits, together with the removal, one receipt (OutcomeDelivered, From: by) into the inbox of Origin",
			run: func(x *fixture) {
				m := messageFrom("anna", "1", "bob")
				m.From, m.Dest = "Anna B.", "the friends"
				x.stored(m)
				before := x.store.Now().UnixMilli()
				x.popped("bob", "Bobby", byID("1"))
				after := x.store.Now().UnixMilli()
				x.holds("bob")
				x.holds("anna", `300 "1" from Bobby dest the friends`)
				for _, e := range x.fetch("anna") {
					if e.Time < before-1000 || e.Time > after+1000 {
						x.broken("the receipt's time is %d, it was popped between %d and %d (Unix ms)", e.Time, before, after)
					}
					if len(e.Payload) != 0 {
						x.broken("the receipt has a payload: %q", e.Payload)
					}
				}
			},
		}, {
			name: "receipt/each channel", mode: reliableMode,
			text: "one receipt for each (message, confirming channel): a message to N channels gives N",
			run: func(x *fixture) {
				x.stored(message("1", "a", "b", "c"))
				x.holds("anna")
				x.popped("b", "B", byID("1"))
				x.holds("anna", `300 "1" from B dest a`)
				x.popped("c", "C", byID("1"))
				x.popped("a", "A", byID("1"))
				x.missed("b", byID("1"))
				x.holds("anna", `300 "1" from B dest a`, `300 "1" from C dest a`, `300 "1" from A dest a`)
			},
		}, {
			name: "receipt/of several", mode: reliableMode,
			text: "each message that one call takes off an inbox makes its own receipt",
			run: func(x *fixture) {
				var batch []bachata.Item
				var want []string
				for i := range 300 {
					batch = append(batch, message(fmt.Sprint(i), "bob"))
					want = append(want, fmt.Sprintf(`300 "%d" from bob dest bob`, i))
				}
				x.stored(batch...)
				x.popped("bob", "bob", keysOf(batch)...)
				x.soon(func() string { return differUnordered("inbox of anna", describeAll(x.fetch("anna")), want) })
			},
		}, {
			name: "receipt/spelling", mode: reliableMode,
			text: "an id is a string, or a number that every receipt spells as it came",
			run: func(x *fixture) {
				for _, text := range []string{"5", "1.10", "-0", "1e400", "12345678901234567890", "5e0"} {
					m := message(text, "bob")
					m.ID.Number = true
					x.stored(m)
					x.popped("bob", "bob", byID(text))
					x.holds("anna", `300 `+text+` from bob dest bob`)
					x.clear("anna")
				}
			},
		}, {
			name: "receipt/suppressed", mode: reliableMode,
			text: "a message with NoReceipt gets none",
			run: func(x *fixture) {
				m := message("1", "bob", "eve")
				m.NoReceipt = true
				x.stored(m)
				x.popped("bob", "bob", byID("1"))
				x.popped("eve", "eve", at(x.only("eve")))
				x.holds("anna")
			},
		}, {
			name: "receipt/no origin", mode: reliableMode,
			text: "a message without Origin, the server's own, gets no receipt",
			run: func(x *fixture) {
				m := messageFrom("", "1", "bob")
				m.From = "anna"
				x.stored(m)
				x.popped("bob", "bob", byID("1"))
				x.holds("bob")
				x.holds("anna")
				x.holds("")
			},
		}, {
			name: "receipt/no id", mode: reliableMode,
			text: "a message without an id gets no receipt",
			run: func(x *fixture) {
				x.stored(nameless("hello", "bob"))
				x.popped("bob", "bob", at(x.only("bob")))
				x.holds("bob")
				x.holds("anna")
			},
		}, {
			name: "receipt/to oneself", mode: reliableMode,
			text: "who sends to the own channel gets message and receipt in the same inbox",
			run: func(x *fixture) {
				x.stored(messageFrom("anna", "1", "anna"), messageFrom("anna", "2", "anna"))
				x.popped("anna", "anna", byID("1"))
				x.holds("anna", `"2"`, `300 "1" from anna dest anna`)
			},
		}, {
			name: "receipt/off by cursor only", mode: reliableMode,
			text: "receipts are taken by Cursor only and make no receipt",
			run: func(x *fixture) {
				x.stored(message("1", "bob"))
				x.popped("bob", "bob", byID("1"))
				x.holds("anna", `300 "1" from bob dest bob`)
				x.missed("anna", byID("1"), bachata.Key{ID: "1", From: "bob"}, bachata.Key{ID: "1", From: "bob", Dest: "bob"})
				x.holds("anna", `300 "1" from bob dest bob`)
				r := x.only("anna")
				x.popped("anna", "anna", at(r))
				x.missed("anna", at(r))
				x.holds("anna")
				x.holds("bob")
			},
		}, {
			name: "receipt/not a message", mode: reliableMode,
			text: "a receipt is no message: a message of the same id is taken, and waits, beside it",
			run: func(x *fixture) {
				x.stored(message("1", "bob"))
				x.popped("bob", "bob", byID("1"))
				x.delivered("anna", byID("1"), true)
				x.stored(messageFrom("bob", "1", "anna"))
				x.delivered("anna", byID("1"), false)
				x.popped("anna", "anna", byID("1"))
				x.delivered("anna", byID("1"), true)
				x.holds("anna", `300 "1" from bob dest bob`)
				x.holds("bob", `300 "1" from anna dest anna`)
			},
		},
	}
}
