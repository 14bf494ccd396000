package queuetest

import (
	"fmt"
	"strings"

	"github.com/bachata-go/bachata"
)

// numbered puts n messages with the ids "0", "1", ... into an inbox and returns them as they are fetched.
func (x *fixture) numbered(channel string, n int) []bachata.Envelope {
	x.Helper()
	var batch []bachata.Item
	for i := range n {
		batch = append(batch, message(fmt.Sprint(i), channel))
	}
	x.stored(batch...)
	envs := x.fetch(channel)
	if len(envs) != n {
		x.Fatalf("contract broken: %s\n\t%d messages were put, Fetch returns %d", x.clause, n, len(envs))
	}
	return envs
}

func cursorClauses() []clause {
	return []clause{
		{
			name: "cursor/after", mode: reliableMode,
			text: "Fetch reads the envelopes after the cursor, in order; zero is the start of the inbox",
			run: func(x *fixture) {
				envs := x.numbered("bob", 20)
				for i, e := range envs {
					got := x.fetchAfter("bob", e.Cursor, bachata.Limit{})
					if c := differ("after "+describe(e), describeAll(got), describeAll(envs[i+1:])); c != "" {
						x.broken("%s", c)
					}
				}
				x.stored(message("more", "bob"))
				if got := describeAll(x.fetchAfter("bob", envs[19].Cursor, bachata.Limit{})); len(got) != 1 || got[0] != `"more"` {
					x.broken("put after the cursor was read: fetched %q", got)
				}
			},
		}, {
			name: "cursor/stable", mode: reliableMode,
			text: "an envelope keeps its cursor",
			run: func(x *fixture) {
				envs := x.numbered("bob", 20)
				for _, i := range []int{0, 7, 19} {
					x.popped("bob", "bob", at(envs[i]))
				}
				x.stored(message("more", "bob"))
				for i, e := range x.fetch("bob")[:17] {
					want := envs[i+1]
					if i >= 6 {
						want = envs[i+2]
					}
					if e.Cursor != want.Cursor || e.ID != want.ID {
						x.broken("%s stood at %d, now %s is at %d", describe(want), want.Cursor, describe(e), e.Cursor)
					}
				}
			},
		}, {
			name: "cursor/of what has left", mode: reliableMode,
			text: "a cursor stays valid when what it names has left",
			run: func(x *fixture) {
				envs := x.numbered("bob", 10)
				for i := range 5 {
					x.popped("bob", "bob", at(envs[i]))
				}
				for i := range 5 {
					got := x.fetchAfter("bob", envs[i].Cursor, bachata.Limit{})
					if c := differ("after "+describe(envs[i]), describeAll(got), describeAll(envs[5:])); c != "" {
						x.broken("%s", c)
					}
				}
			},
		}, {
			name: "cursor/of an emptied inbox", mode: reliableMode,
			text: "a cursor stays valid when the inbox was empty in between: what is put then stands after it",
			run: func(x *fixture) {
				for round := range 5 {
					x.stored(message(fmt.Sprint("a", round), "bob"), message(fmt.Sprint("b", round), "bob"))
					last := x.fetch("bob")[1].Cursor
					x.clear("bob")
					x.clear("anna")
					next := fmt.Sprint("c", round)
					x.stored(message(next, "bob"))
					if c := differ("after the cursor of what had left", describeAll(x.fetchAfter("bob", last, bachata.Limit{})), []string{`"` + next + `"`}); c != "" {
						x.broken("%s", c)
					}
					x.clear("bob")
				}
			},
		}, {
			name: "cursor/of receipts", mode: reliableMode,
			text: "receipts have cursors in the same order as messages",
			run: func(x *fixture) {
				x.numbered("bob", 3)
				x.popped("bob", "bob", byID("0"), byID("1"), byID("2"))
				x.holds("anna", `300 "0" from bob dest bob`, `300 "1" from bob dest bob`, `300 "2" from bob dest bob`)
				envs := x.fetch("anna")
				x.popped("anna", "anna", at(envs[1]))
				got := describeAll(x.fetchAfter("anna", envs[1].Cursor, bachata.Limit{}))
				if c := differ("after a receipt that has left", got, []string{`300 "2" from bob dest bob`}); c != "" {
					x.broken("%s", c)
				}
			},
		}, {
			name: "limit/messages", mode: reliableMode,
			text: "Fetch reads up to the limit of messages; a limit of zero or less does not limit",
			run: func(x *fixture) {
				envs := x.numbered("bob", 50)
				var got []bachata.Envelope
				for after := bachata.Cursor(0); ; after = got[len(got)-1].Cursor {
					page := x.fetchAfter("bob", after, bachata.Limit{Messages: 7})
					if want := min(7, 50-len(got)); len(page) != want {
						x.broken("%d messages follow, the limit is 7, Fetch returned %d", 50-len(got), len(page))
						return
					}
					if len(page) == 0 {
						break
					}
					got = append(got, page...)
				}
				if c := differ("read in pages", describeAll(got), describeAll(envs)); c != "" {
					x.broken("%s", c)
				}
				if n := len(x.fetchAfter("bob", 0, bachata.Limit{Messages: -1, Bytes: -1})); n != 50 {
					x.broken("with negative limits Fetch returned %d of 50", n)
				}
			},
		}, {
			name: "limit/bytes", mode: reliableMode,
			text: "Fetch reads up to the limit of payload bytes",
			run: func(x *fixture) {
				for i := range 10 {
					m := message(fmt.Sprint(i), "bob")
					m.Payload = []byte(strings.Repeat("x", 1000))
					x.stored(m)
				}
				for limit, want := range map[int]int{1000: 1, 1999: 1, 2000: 2, 5500: 5, 10_000: 10, 1 << 30: 10} {
					if got := len(x.fetchAfter("bob", 0, bachata.Limit{Bytes: limit})); got != want {
						x.broken("of payloads of 1,000 bytes a limit of %d bytes returned %d, want %d", limit, got, want)
					}
				}
				if got := len(x.fetchAfter("bob", 0, bachata.Limit{Messages: 3, Bytes: 5000})); got != 3 {
					x.broken("limits of 3 messages and 5,000 bytes returned %d", got)
				}
			},
		}, {
			name: "limit/one larger", mode: reliableMode,
			text: "an envelope that alone is larger than limit.Bytes is returned if it is the first, and alone",
			run: func(x *fixture) {
				small, large, last := message("small", "bob"), message("large", "bob"), message("last", "bob")
				small.Payload, last.Payload = []byte("x"), []byte("x")
				large.Payload = []byte(strings.Repeat("x", 5000))
				x.stored(small, large, last)
				after := bachata.Cursor(0)
				for _, want := range []string{`"small"`, `"large"`, `"last"`} {
					page := x.fetchAfter("bob", after, bachata.Limit{Bytes: 100})
					if c := differ("page", describeAll(page), []string{want}); c != "" {
						x.broken("%s", c)
						return
					}
					after = page[0].Cursor
				}
			},
		}, {
			name: "limit/far back", mode: reliableMode,
			text: "a reader that is far behind reads the whole inbox in pages, whatever is confirmed meanwhile",
			run: func(x *fixture) {
				x.numbered("bob", 2000)
				var read []string
				for after := bachata.Cursor(0); ; {
					page := x.fetchAfter("bob", after, bachata.Limit{Messages: 64, Bytes: 1 << 20})
					if len(page) == 0 {
						break
					}
					for _, e := range page {
						read = append(read, describe(e))
					}
					after = page[len(page)-1].Cursor
					x.popped("bob", "bob", at(page[0]), at(page[len(page)-1]))
				}
				for i, got := range read {
					if want := fmt.Sprintf(`"%d"`, i); got != want {
						x.broken("place %d of 2,000: read %s, want %s", i, got, want)
						return
					}
				}
				if len(read) != 2000 {
					x.broken("2,000 messages were put, %d were read", len(read))
				}
			},
		},
	}
}
