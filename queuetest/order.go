package queuetest

import (
	"fmt"

	"github.com/bachata-go/bachata"
)

func orderClauses() []clause {
	return []clause{
		{
			name: "order/one by one", mode: bothModes,
			text: "Put appends each item to the inboxes of its channels, in order",
			run: func(x *fixture) {
				var want []bachata.Item
				for i := range 100 {
					m := message(fmt.Sprint(i), "bob")
					x.stored(m)
					want = append(want, m)
				}
				x.holdsItems("bob", want...)
			},
		}, {
			name: "order/batch", mode: bothModes,
			text: "Put appends the items of one call in their order",
			run: func(x *fixture) {
				var batch, want []bachata.Item
				for i := range 500 {
					m := message(fmt.Sprint(i), [...]string{"bob", "eve"}[i%2])
					batch = append(batch, m)
					if i%2 == 0 {
						want = append(want, m)
					}
				}
				x.stored(batch...)
				x.holdsItems("bob", want...)
			},
		}, {
			name: "order/several channels", mode: bothModes,
			text: "Put appends an item to the inbox of every channel that it names, and to no other",
			run: func(x *fixture) {
				one := message("1", "bob", "eve", "max")
				two := message("2", "max", "bob")
				three := message("3", "eve")
				x.stored(one, two)
				x.stored(three)
				x.holdsItems("bob", one, two)
				x.holdsItems("eve", one, three)
				x.holdsItems("max", one, two)
				x.holdsItems("anna")
			},
		}, {
			name: "order/without id", mode: bothModes,
			text: "a message without an id is delivered in its place in the order, as often as it is put",
			run: func(x *fixture) {
				one, two, three := message("1", "bob"), nameless(`{"type":"note"}`, "bob"), message("3", "bob")
				x.stored(one, two, two, three)
				x.stored(two)
				x.holdsItems("bob", one, two, two, three, two)
			},
		}, {
			name: "order/receipts", mode: reliableMode,
			text: "receipts stand in the inbox of their channel in the order in which they were committed, among its messages",
			run: func(x *fixture) {
				x.stored(message("1", "bob"), message("2", "bob"))
				x.stored(messageFrom("bob", "3", "anna"))
				x.popped("bob", "bob", byID("2"))
				x.stored(messageFrom("bob", "4", "anna"))
				x.popped("bob", "bob", byID("1"))
				x.holds("anna", `"3"`, `300 "2" from bob dest bob`, `"4"`, `300 "1" from bob dest bob`)
			},
		}, {
			name: "put/nothing", mode: bothModes,
			text: "the result of Put has one entry an item, in it one status a channel, however few there are",
			run: func(x *fixture) {
				x.put()
				nobody := message("1", "bob")
				nobody.Channels = nil
				x.put(nobody)
				x.stored(message("2", "bob"))
				x.holdsItems("bob", message("2", "bob"))
			},
		}, {
			name: "fetch/unknown channel", mode: bothModes,
			text: "the inbox of a channel that nothing was put into is empty",
			run: func(x *fixture) {
				x.holdsItems("nobody")
				x.missed("nobody", byID("1"), bachata.Key{Cursor: 1})
				x.delivered("nobody", byID("1"), true)
			},
		}, {
			name: "info", mode: bothModes,
			text: "Info states name, mode and level, and the dedupe window of a reliable queue",
			run: func(x *fixture) {
				i := x.q.Info()
				if i.Name == "" || i.Level == "" {
					x.broken("Info() = %+v, want a name and a level", i)
				}
				if (i.Dedupe > 0) != (x.mode == bachata.Reliable) {
					x.broken("Info().Dedupe = %v in %v mode", i.Dedupe, x.mode)
				}
			},
		},
	}
}
