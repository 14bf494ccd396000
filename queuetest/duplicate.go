package queuetest

import (
	"github.com/bachata-go/bachata"
)

func duplicateClauses() []clause {
	return []clause{
		{
			name: "duplicate/pending", mode: reliableMode,
			text: "put again while it is pending it is the same message, whatever its content or channels: the first wins",
			run: func(x *fixture) {
				first := message("1", "bob")
				x.stored(first)
				again := first
				again.Payload = []byte(`{"another":"text"}`)
				again.From = "someone"
				x.answered(again, bachata.Duplicate)
				again.Channels = []string{"eve", "bob", "max"}
				x.answered(again, bachata.Duplicate, bachata.Duplicate, bachata.Duplicate)
				x.holdsItems("bob", first)
				x.holdsItems("eve")
				x.holdsItems("max")
			},
		}, {
			name: "duplicate/in one call", mode: reliableMode,
			text: "two items of one call may be the same message too",
			run: func(x *fixture) {
				one, two := message("1", "bob"), message("2", "bob")
				res := x.put(one, two, one, one)
				for i, want := range []bachata.PutStatus{bachata.Stored, bachata.Stored, bachata.Duplicate, bachata.Duplicate} {
					if res[i][0] != want {
						x.broken("item %d of the call was answered %v, want %v", i, res[i][0], want)
					}
				}
				x.holdsItems("bob", one, two)
			},
		}, {
			name: "duplicate/other origin", mode: reliableMode,
			text: "an item is known by Origin too: another sender's message of the same id is another message",
			run: func(x *fixture) {
				one, two := message("1", "bob"), messageFrom("eve", "1", "bob")
				x.stored(one, two)
				server := messageFrom("", "1", "bob")
				x.stored(server)
				x.answered(server, bachata.Duplicate)
				x.holdsItems("bob", one, two, server)
			},
		}, {
			name: "duplicate/other from", mode: reliableMode,
			text: "an item is known by (Origin, Dest, ID), not by the From that is shown",
			run: func(x *fixture) {
				m := message("1", "bob")
				x.stored(m)
				renamed := m
				renamed.From = "Anna B."
				x.answered(renamed, bachata.Duplicate)
				x.holdsItems("bob", m)
			},
		}, {
			name: "duplicate/other dest", mode: reliableMode,
			text: "an item is known by Dest too, also if both go to the same channel",
			run: func(x *fixture) {
				direct, group := message("1", "bob"), message("1", "bob")
				group.Dest = "friends"
				x.stored(direct, group)
				x.answered(group, bachata.Duplicate)
				x.holdsItems("bob", direct, group)
			},
		}, {
			name: "duplicate/number and string", mode: reliableMode,
			text: `ids compare by text: 5 and "5" are the same, 1.10 and 1.1 are not`,
			run: func(x *fixture) {
				id := func(text string, number bool) bachata.Item {
					m := message(text, "bob")
					m.ID.Number = number
					return m
				}
				x.stored(id("5", true), id("1.1", true), id("1.10", true), id("1e400", true), id("05", false))
				x.answered(id("5", false), bachata.Duplicate)
				x.answered(id("1.10", false), bachata.Duplicate)
				x.holds("bob", `5`, `1.1`, `1.10`, `1e400`, `"05"`)
			},
		}, {
			name: "duplicate/no id", mode: reliableMode,
			text: "the zero ID marks a message that is neither deduplicated nor receipted",
			run: func(x *fixture) {
				m := nameless("a text", "bob")
				x.stored(m, m)
				x.stored(m)
				for _, e := range x.fetch("bob") {
					x.popped("bob", "bob", at(e))
				}
				x.holds("bob")
				x.holds("anna")
			},
		}, {
			name: "duplicate/pending on one channel of several", mode: reliableMode,
			text: "a message is pending while it waits in the inbox of any of its channels",
			run: func(x *fixture) {
				m := message("1", "bob", "eve")
				x.stored(m)
				x.popped("bob", "bob", byID("1"))
				x.answered(m, bachata.Duplicate, bachata.Duplicate)
				x.holds("bob")
				x.holds("eve", `"1"`)
			},
		}, {
			name: "duplicate/in flight", mode: reliableMode,
			text: "of the same message put at the same time one is Stored, all others are Duplicate",
			run: func(x *fixture) {
				for range 50 {
					m := message(x.nextID(), "bob")
					counts := map[bachata.PutStatus]int{}
					for _, r := range together(x, 8, func(int) (bachata.PutStatus, error) {
						res, err := x.q.Put(x.ctx, []bachata.Item{m})
						if err != nil {
							return 0, err
						}
						return res[0][0], nil
					}) {
						counts[r]++
					}
					if counts[bachata.Stored] != 1 || counts[bachata.Duplicate] != 7 {
						x.broken("8 puts of one message were answered %v", counts)
					}
				}
				if n := len(x.fetch("bob")); n != 50 {
					x.broken("50 messages put 8 times each left %d in the inbox", n)
				}
			},
		},
	}
}
