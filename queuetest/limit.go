package queuetest

import (
	"fmt"
	"strings"

	"github.com/bachata-go/bachata"
)

// ofBytes is a message whose payload has n bytes.
func ofBytes(id string, n int, channels ...string) bachata.Item {
	m := message(id, channels...)
	m.Payload = []byte(strings.Repeat("x", n))
	return m
}

func inboxLimitClauses() []clause {
	three := bachata.QueueOptions{InboxMessages: 3}
	return []clause{
		{
			name: "full/messages", mode: bothModes, options: three,
			text: "an inbox that holds as many messages as it may answers Full, and takes more when there is room again",
			run: func(x *fixture) {
				one, two, four := message("1", "bob"), message("2", "bob"), message("4", "bob")
				x.stored(one, two, message("3", "bob"))
				x.answered(four, bachata.Full)
				x.answered(four, bachata.Full)
				x.stored(message("1", "eve"))
				if x.mode == bachata.Simple {
					x.fetchAfter("bob", 0, bachata.Limit{Messages: 1})
				} else {
					x.popped("bob", "bob", byID("1"))
				}
				x.stored(four)
				x.answered(message("5", "bob"), bachata.Full)
				x.holdsItems("bob", two, message("3", "bob"), four)
			},
		}, {
			name: "full/within a call", mode: bothModes, options: three,
			text: "the items of a call that find the inbox full answer Full, those before them are stored",
			run: func(x *fixture) {
				var batch []bachata.Item
				for i := range 5 {
					batch = append(batch, message(fmt.Sprint(i), "bob"))
				}
				for i, r := range x.put(batch...) {
					want := bachata.Stored
					if i >= 3 {
						want = bachata.Full
					}
					if r[0] != want {
						x.broken("item %d into an inbox of 3 messages was answered %v, want %v", i, r[0], want)
					}
				}
				x.holdsItems("bob", batch[:3]...)
			},
		}, {
			name: "full/bytes", mode: bothModes, options: bachata.QueueOptions{InboxBytes: 10_000},
			text: "an inbox that holds as many bytes of payload as it may answers Full; what is smaller may still fit",
			run: func(x *fixture) {
				a, b, small := ofBytes("a", 5000, "bob"), ofBytes("b", 4900, "bob"), ofBytes("c", 50, "bob")
				x.stored(a, b)
				x.answered(ofBytes("d", 101, "bob"), bachata.Full)
				x.stored(small)
				x.answered(ofBytes("e", 51, "bob"), bachata.Full)
				x.holdsItems("bob", a, b, small)
			},
		}, {
			name: "full/bytes are given back", mode: bothModes, options: bachata.QueueOptions{InboxBytes: 10_000},
			text: "what has left an inbox takes no room in it",
			run: func(x *fixture) {
				for i := range 30 {
					x.stored(ofBytes(fmt.Sprint(i), 9000, "bob"))
					if x.mode == bachata.Simple {
						x.fetch("bob")
					} else {
						x.clear("bob")
					}
				}
			},
		}, {
			name: "full/never fits", mode: bothModes, options: bachata.QueueOptions{InboxBytes: 10_000},
			text: "a message larger than an inbox is Full on it, and disturbs nothing",
			run: func(x *fixture) {
				small := ofBytes("small", 100, "bob")
				x.stored(small)
				x.answered(ofBytes("large", 10_001, "bob"), bachata.Full)
				x.answered(ofBytes("large", 10_001, "eve"), bachata.Full)
				x.holdsItems("bob", small)
				x.holdsItems("eve")
			},
		}, {
			name: "full/receipts are not refused", mode: reliableMode, options: three,
			text: "receipts are never refused and do not count as messages",
			run: func(x *fixture) {
				for i := range 10 {
					x.stored(message(fmt.Sprint(i), "bob"))
					x.popped("bob", "bob", byID(fmt.Sprint(i)))
				}
				x.stored(messageFrom("bob", "a", "anna"), messageFrom("bob", "b", "anna"), messageFrom("bob", "c", "anna"))
				x.stored(message("10", "bob"))
				x.popped("bob", "bob", byID("10"))
				if n := len(x.fetch("anna")); n != 14 {
					x.broken("11 receipts and 3 messages went to an inbox of 3 messages, it has %d", n)
				}
			},
		}, {
			name: "full/all", mode: reliableMode, options: three,
			text: "if all channels are full, nothing is stored and the id is not remembered",
			run: func(x *fixture) {
				for i := range 3 {
					x.stored(message(fmt.Sprint(i), "bob"), message(fmt.Sprint(i), "eve"))
				}
				m := message("late", "bob", "eve")
				x.answered(m, bachata.Full, bachata.Full)
				x.holds("anna")
				x.popped("bob", "bob", byID("0"))
				x.popped("eve", "eve", byID("0"))
				x.answered(m, bachata.Stored, bachata.Stored)
			},
		}, {
			name: "full/one of several", mode: reliableMode, options: three,
			text: "if at least one channel of an item took it, each Full channel is reported to Origin by a receipt with OutcomeDropped",
			run: func(x *fixture) {
				for i := range 3 {
					x.stored(message(fmt.Sprint(i), "bob"))
				}
				m := message("late", "eve", "bob", "max")
				m.Dest = "friends"
				x.answered(m, bachata.Stored, bachata.Full, bachata.Stored)
				x.holds("anna", `481 "late" from bob dest friends`)
				x.holds("eve", `"late"`)
				x.holds("bob", `"0"`, `"1"`, `"2"`)
				x.popped("bob", "bob", byID("0"))
				x.answered(m, bachata.Duplicate, bachata.Duplicate, bachata.Duplicate)
				x.holds("bob", `"1"`, `"2"`)
			},
		}, {
			name: "full/duplicate", mode: reliableMode, options: three,
			text: "a message that an inbox already has is Duplicate, however full that is",
			run: func(x *fixture) {
				m := message("1", "bob")
				x.stored(m, message("2", "bob"), message("3", "bob"))
				x.answered(m, bachata.Duplicate)
				x.popped("bob", "bob", byID("1"))
				x.stored(message("4", "bob"))
				x.answered(m, bachata.Duplicate)
			},
		}, {
			name: "full/no receipt", mode: reliableMode, options: three,
			text: "what has no Origin or no id is reported to nobody where it finds an inbox full",
			run: func(x *fixture) {
				for i := range 3 {
					x.stored(message(fmt.Sprint(i), "bob"))
				}
				x.answered(messageFrom("", "late", "eve", "bob"), bachata.Stored, bachata.Full)
				x.answered(nameless("late", "eve", "bob"), bachata.Stored, bachata.Full)
				x.holds("anna")
				x.holds("")
			},
		},
	}
}
