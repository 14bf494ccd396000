package queuetest

import (
	"fmt"
	"strings"

	"github.com/bachata-go/bachata"
)

// names returns names that could shape a key of the storage, or be taken for another of them.
func names() []string {
	return []string{
		"a", "A", "ab", "a:", ":a", "a:wait", "a:wait:1", "wait", "a:1", "1", "p", "p:q", "p:q:1", "q:1",
		"{x}", "x", "{x}a", "{}a", "{", "*", "a*", "?", "[a-z]", "a b", " ", "a ", "\t", "\n", "a\r\nb",
		"\x00", "a\x00", "a\x00b", "\x00a", ".", "..", "../a", "a/b", "/", `\`, `a\b`, `"`, `'`, "`", "%s", "%00", "%61", "$", "#", "!",
		"null", "0", "00", "-1", "😀", "👩‍👩‍👧", "é", "e\u0301", "\u202e", "\ufeff", "\uffff", "\U0010ffff",
		strings.Repeat("n", bachata.MaxName), strings.Repeat("n", bachata.MaxName-1) + "m", strings.Repeat("n", bachata.MaxName-1),
		strings.Repeat("😀", 63), strings.Repeat(":", bachata.MaxName), strings.Repeat("\x00", bachata.MaxName),
	}
}

// reopenIfDurable closes and opens a durable queue, so that names go through the store and back.
func (x *fixture) reopenIfDurable() {
	x.Helper()
	if x.info.Durable {
		x.reopen()
	}
}

func nameClauses() []clause {
	return []clause{
		{
			name: "names/channels", mode: bothModes,
			text: "each name is a channel of its own, whatever is in it",
			run: func(x *fixture) {
				for _, name := range names() {
					x.stored(message("1", name), message("for "+fmt.Sprintf("%x", name), name))
				}
				x.reopenIfDurable()
				for _, name := range names() {
					x.holdsItems(name, message("1", name), message("for "+fmt.Sprintf("%x", name), name))
					if x.mode == bachata.Reliable {
						x.popped(name, name, byID("1"))
						x.popped(name, name, at(x.only(name)))
						x.holds(name)
					}
				}
			},
		}, {
			name: "names/ids", mode: reliableMode,
			text: "each text is an id of its own, whatever is in it",
			run: func(x *fixture) {
				var batch []bachata.Item
				for _, name := range names() {
					batch = append(batch, message(name, "bob"))
				}
				x.stored(batch...)
				x.reopenIfDurable()
				for _, m := range batch {
					x.answered(m, bachata.Duplicate)
				}
				x.holdsItems("bob", batch...)
				for i, m := range batch {
					x.popped("bob", "bob", byID(m.ID.Text))
					x.missed("bob", byID(m.ID.Text))
					x.soon(func() string {
						return differ("last receipt", describeAll(x.fetch("anna"))[i:], []string{"300 " + m.ID.String() + " from bob dest bob"})
					})
				}
				x.reopenIfDurable()
				for _, m := range batch {
					x.answered(m, bachata.Duplicate)
				}
				x.holds("bob")
			},
		}, {
			name: "names/origins", mode: reliableMode,
			text: "each origin has its messages and its receipts to itself, whatever its name",
			run: func(x *fixture) {
				for _, name := range names() {
					x.stored(messageFrom(name, "1", "bob"))
				}
				x.reopenIfDurable()
				for _, name := range names() {
					x.answered(messageFrom(name, "1", "bob"), bachata.Duplicate)
				}
				for _, name := range names() {
					x.popped("bob", name, bachata.Key{ID: "1", From: name})
					x.holds(name, `300 "1" from `+name+` dest bob`)
				}
				x.holds("bob")
			},
		}, {
			name: "names/dests", mode: reliableMode,
			text: "From, Dest and by come back as they were given, whatever is in them",
			run: func(x *fixture) {
				for _, name := range names() {
					m := message("1", "bob")
					m.Dest, m.From = name, name
					x.stored(m)
				}
				x.reopenIfDurable()
				for i, name := range names() {
					x.popped("bob", name, bachata.Key{ID: "1", From: name, Dest: name})
					x.soon(func() string {
						return differ("last receipt", describeAll(x.fetch("anna"))[i:], []string{`300 "1" from ` + name + ` dest ` + name})
					})
				}
			},
		}, {
			name: "names/joined", mode: reliableMode,
			text: "(Origin, Dest, ID) are three names, not one that is joined of them",
			run: func(x *fixture) {
				for _, sep := range []string{"", ":", "\x00", "/", "|", ",", " ", "\x01", "\xff"} {
					parts := [][3]string{
						{"a", "b" + sep + "c", "d"}, {"a" + sep + "b", "c", "d"}, {"a", "b", "c" + sep + "d"},
						{"a", sep + "b", "c" + sep + "d"}, {"a" + sep, "b", "c" + sep + "d"}, {"a", "b" + sep, "c" + sep + "d"},
					}
					if sep == "" {
						parts = parts[:3]
					}
					for _, p := range parts {
						m := messageFrom(p[0], p[2], "bob")
						m.Dest = p[1]
						x.stored(m)
						x.answered(m, bachata.Duplicate)
					}
				}
				for _, p := range [][2]string{{"p", "q:1"}, {"p:q", "1"}, {"p:q:1", "wait"}, {"p:q", "1:wait"}} {
					x.stored(message(p[1], p[0]))
				}
				x.popped("p", "p", byID("q:1"))
				x.holds("p:q", `"1"`, `"1:wait"`)
				x.popped("p:q", "p", byID("1"))
				x.holds("p:q", `"1:wait"`)
				x.holds("p:q:1", `"wait"`)
			},
		},
	}
}
