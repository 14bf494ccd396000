package queuetest

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/bachata-go/bachata"
)

// take fetches, which in simple mode removes, and returns the texts.
func (x *fixture) take(channel string, limit bachata.Limit) []string {
	x.Helper()
	var texts []string
	for _, e := range x.fetchAfter(channel, 0, limit) {
		if e.Kind == bachata.KindMessage {
			texts = append(texts, string(e.Payload))
		}
	}
	return texts
}

func payloads(items ...bachata.Item) []string {
	var texts []string
	for _, m := range items {
		texts = append(texts, string(m.Payload))
	}
	return texts
}

func simpleClauses() []clause {
	return []clause{
		{
			name: "simple/fetch removes", mode: simpleMode,
			text: "a simple queue removes what Fetch returns, up to the limit, and keeps the rest",
			run: func(x *fixture) {
				var batch []bachata.Item
				for i := range 10 {
					batch = append(batch, message(fmt.Sprint(i), "bob"))
				}
				x.stored(batch...)
				for _, page := range [][]bachata.Item{batch[:4], batch[4:8], batch[8:], nil} {
					if c := differ("page", x.take("bob", bachata.Limit{Messages: 4}), payloads(page...)); c != "" {
						x.broken("%s", c)
					}
				}
			},
		}, {
			name: "simple/bytes", mode: simpleMode,
			text: "a simple queue reads up to the limit of bytes, and one larger alone",
			run: func(x *fixture) {
				small, large := ofBytes("s", 10, "bob"), ofBytes("l", 5000, "bob")
				x.stored(small, small, large, small)
				for _, page := range [][]bachata.Item{{small, small}, {large}, {small}, nil} {
					if c := differ("page", x.take("bob", bachata.Limit{Bytes: 100}), payloads(page...)); c != "" {
						x.broken("%s", c)
					}
				}
			},
		}, {
			name: "simple/no gaps", mode: simpleMode, needs: needClock,
			options: bachata.QueueOptions{InboxMessages: 3, DropOldest: true, InboxAge: time.Hour},
			text:    "a simple queue has no gaps: what it dropped or let expire is just not there (PROTOCOL.md, \"Simple mode\": no 1004)",
			run: func(x *fixture) {
				for i := range 6 {
					x.stored(message(fmt.Sprint(i), "bob"), message(fmt.Sprint(i), "eve"))
				}
				x.store.Advance(time.Hour)
				x.stored(message("6", "eve"))
				want := map[string]int{"bob": 0, "eve": 1}
				for channel, n := range want {
					if envs := x.fetch(channel); len(envs) != n || len(withoutGaps(envs)) != n {
						x.broken("the inbox of %s has %s, want %d messages and nothing else", channel, lines(describeAll(envs)), n)
					}
				}
				for i := range 6 {
					x.stored(message(fmt.Sprint(i), "tom"))
				}
				tom := x.fetch("tom")
				if len(tom) != 3 || len(withoutGaps(tom)) != 3 || !strings.Contains(string(tom[0].Payload), `"id":"3"`) {
					x.broken("the inbox of tom has %s, want the last three messages and nothing else", lines(describeAll(tom)))
				}
			},
		}, {
			name: "simple/cursor", mode: simpleMode,
			text: "a simple queue ignores the cursor",
			run: func(x *fixture) {
				x.stored(message("1", "bob"), message("2", "bob"))
				if n := len(x.fetchAfter("bob", 1<<60, bachata.Limit{})); n != 2 {
					x.broken("2 texts wait, Fetch returned %d", n)
				}
			},
		}, {
			name: "simple/no dedupe", mode: simpleMode,
			text: "a simple queue knows no resent ids",
			run: func(x *fixture) {
				m := message("1", "bob")
				x.stored(m, m)
				x.stored(m)
				x.holdsItems("bob", m, m, m)
				x.stored(m)
				x.holdsItems("bob", m)
			},
		}, {
			name: "simple/no receipts", mode: simpleMode,
			text: "a simple queue ignores a 200, makes no receipt, and CheckDelivered is always true",
			run: func(x *fixture) {
				m := message("1", "bob")
				x.stored(m)
				x.delivered("bob", byID("1"), true)
				x.missed("bob", byID("1"), bachata.Key{Cursor: 1})
				x.holdsItems("bob", m)
				x.holdsItems("anna")
				x.delivered("bob", byID("1"), true)
			},
		}, {
			name: "simple/full", mode: simpleMode, options: bachata.QueueOptions{InboxMessages: 2},
			text: "a simple queue reports no full inbox to the origin, which has no receipts",
			run: func(x *fixture) {
				x.stored(message("1", "bob"), message("2", "bob"))
				x.answered(message("3", "bob", "eve"), bachata.Full, bachata.Stored)
				x.holdsItems("anna")
			},
		}, {
			name: "simple/competing", mode: simpleMode,
			text: "readers of a simple queue compete: each text is given to one of them",
			run: func(x *fixture) {
				const texts = 1000
				for i := range texts {
					x.stored(message(fmt.Sprint(i), "bob"))
				}
				var mu sync.Mutex
				seen := map[string]int{}
				together(x, 4, func(int) (struct{}, error) {
					for {
						envs, err := x.q.Fetch(x.ctx, "bob", 0, bachata.Limit{Messages: 7})
						if err != nil || len(envs) == 0 {
							return struct{}{}, err
						}
						mu.Lock()
						for _, e := range envs {
							seen[string(e.Payload)]++
						}
						mu.Unlock()
					}
				})
				for text, n := range seen {
					if n != 1 {
						x.broken("%q was given to readers %d times", text, n)
					}
				}
				if len(seen) != texts {
					x.broken("%d of %d texts were given to readers", len(seen), texts)
				}
			},
		},
	}
}
