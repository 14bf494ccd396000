package queuetest

import (
	"fmt"
	"time"

	"github.com/bachata-go/bachata"
)

func popClauses() []clause {
	return []clause{
		{
			name: "pop/by cursor", mode: reliableMode,
			text: "a key takes the envelope at Cursor if that is not zero, and answers with the cursor of what was taken",
			run: func(x *fixture) {
				x.stored(message("1", "bob"), message("2", "bob"), message("3", "bob"))
				envs := x.fetch("bob")
				got := x.pop("bob", "bob", at(envs[2]), at(envs[0]))
				if want := []bachata.Popped{{Found: true, Cursor: envs[2].Cursor}, {Found: true, Cursor: envs[0].Cursor}}; got[0] != want[0] || got[1] != want[1] {
					x.broken("PopDelivered answered %+v, want %+v", got, want)
				}
				x.holds("bob", `"2"`)
				x.holds("anna", `300 "3" from bob dest bob`, `300 "1" from bob dest bob`)
			},
		}, {
			name: "pop/by id answers with the cursor", mode: reliableMode,
			text: "Popped.Cursor is the cursor of what was taken",
			run: func(x *fixture) {
				x.stored(message("1", "bob"), message("2", "bob"))
				want := x.fetch("bob")[1].Cursor
				if got := x.pop("bob", "bob", byID("2"))[0]; got.Cursor != want || !got.Found {
					x.broken("PopDelivered answered %+v, the message stood at %d", got, want)
				}
			},
		}, {
			name: "pop/without id", mode: reliableMode,
			text: "a message without an id is taken by its cursor",
			run: func(x *fixture) {
				x.stored(nameless("one", "bob"), nameless("two", "bob"), nameless("three", "bob"))
				envs := x.fetch("bob")
				x.popped("bob", "bob", at(envs[1]))
				x.missed("bob", at(envs[1]))
				x.holds("bob", "one", "three")
			},
		}, {
			name: "pop/not found", mode: reliableMode,
			text: "what is not there is not found, which is no error",
			run: func(x *fixture) {
				x.stored(message("1", "bob"))
				c := x.only("bob").Cursor
				x.missed("bob", byID("2"), bachata.Key{Cursor: c + 1}, bachata.Key{Cursor: 1<<64 - 1}, byID("1 "), byID("\x00"))
				x.missed("eve", byID("1"), bachata.Key{Cursor: c})
				x.holds("bob", `"1"`)
				x.holds("anna")
				x.pop("bob", "bob")
			},
		}, {
			name: "pop/many not found", mode: reliableMode,
			text: "what is not there is not found: that costs about the same in a large inbox as in a small one, or who confirms it holds up all others",
			run:  unknownKeys,
		}, {
			name: "pop/twice", mode: reliableMode,
			text: "a second confirmation makes no second receipt",
			run: func(x *fixture) {
				x.stored(message("1", "bob"), message("2", "bob"))
				first := x.fetch("bob")[0]
				x.popped("bob", "bob", byID("1"))
				x.missed("bob", byID("1"), at(first), bachata.Key{ID: "1", From: "anna"})
				x.holds("bob", `"2"`)
				x.holds("anna", `300 "1" from bob dest bob`)
			},
		}, {
			name: "pop/twice in one call", mode: reliableMode,
			text: "each key takes one envelope at most, and each envelope is taken once",
			run: func(x *fixture) {
				x.stored(message("1", "bob"))
				k := at(x.only("bob"))
				for i, p := range x.pop("bob", "bob", byID("1"), byID("1"), k, k) {
					if p.Found != (i == 0) {
						x.broken("key %d of the same message: %+v", i, p)
					}
				}
				x.holds("anna", `300 "1" from bob dest bob`)
			},
		}, {
			name: "pop/twice in flight", mode: reliableMode,
			text: "of confirmations in flight at the same time one finds the message; none makes a second receipt or swallows the first",
			run: func(x *fixture) {
				for i := range 50 {
					m := message(fmt.Sprint(i), "bob")
					x.stored(m)
					key := byID(m.ID.Text)
					if i%2 == 0 {
						key = at(x.only("bob"))
					}
					found := 0
					for _, p := range together(x, 8, func(int) (bachata.Popped, error) {
						res, err := x.q.PopDelivered(x.ctx, "bob", "bob", []bachata.Key{key})
						if err != nil {
							return bachata.Popped{}, err
						}
						return res[0], nil
					}) {
						if p.Found {
							found++
						}
					}
					if found != 1 {
						x.broken("8 confirmations in flight, %d found the message", found)
					}
					x.holds("anna", fmt.Sprintf(`300 "%d" from bob dest bob`, i))
					x.clear("anna")
				}
				x.holds("bob")
			},
		}, {
			name: "pop/another channel", mode: reliableMode,
			text: "a confirmation takes nothing off another channel's inbox",
			run: func(x *fixture) {
				x.stored(message("1", "bob", "eve"))
				bob, eve := at(x.only("bob")), at(x.only("eve"))
				x.popped("eve", "eve", byID("1"))
				x.missed("eve", byID("1"), eve)
				if bob != eve { // where cursors are counted per channel, eve has nothing at bob's either
					x.missed("eve", bob)
				}
				x.holds("bob", `"1"`)
				x.holds("anna", `300 "1" from eve dest bob`)
			},
		}, {
			name: "pop/reading does not take", mode: reliableMode,
			text: "a reliable queue returns the same envelopes again to whoever asks",
			run: func(x *fixture) {
				x.stored(message("1", "bob"), message("2", "bob"))
				for range 3 {
					x.holds("bob", `"1"`, `"2"`)
				}
				x.holds("anna")
			},
		}, {
			name: "check", mode: reliableMode,
			text: "CheckDelivered reports whether no message that the key names waits in the inbox of channel any more",
			run: func(x *fixture) {
				m := message("1", "bob", "eve")
				m.Dest = "friends"
				x.stored(m)
				k := at(x.only("bob"))
				full := bachata.Key{ID: "1", From: "anna", Dest: "friends"}
				for _, waits := range []bachata.Key{byID("1"), k, full, {ID: "1", From: "anna"}, {ID: "1", Dest: "friends"}} {
					x.delivered("bob", waits, false)
				}
				for _, other := range []bachata.Key{byID("2"), {ID: "1", From: "max"}, {ID: "1", Dest: "bob"}, {Cursor: k.Cursor + 1}} {
					x.delivered("bob", other, true)
				}
				x.popped("bob", "bob", byID("1"))
				x.delivered("bob", byID("1"), true)
				x.delivered("bob", k, true)
				x.delivered("eve", full, false)
			},
		},
	}
}

func partialKeyClauses() []clause {
	// same are three messages of one id in the inbox of bob.
	same := func(x *fixture) {
		a, b, c := message("1", "bob"), messageFrom("eve", "1", "bob"), messageFrom("eve", "1", "bob")
		c.Dest = "friends"
		x.stored(a, message("2", "bob"), b, c)
	}
	return []clause{
		{
			name: "key/oldest", mode: reliableMode,
			text: "without From and Dest a key takes the oldest message of its ID, one at a time",
			run: func(x *fixture) {
				same(x)
				envs := x.fetch("bob")
				for i, p := range x.pop("bob", "bob", byID("1"), byID("1")) {
					if want := envs[2*i].Cursor; p.Cursor != want {
						x.broken("key %d took the one at %d, want %d", i, p.Cursor, want)
					}
				}
				x.holds("anna", `300 "1" from bob dest bob`)
				x.holds("eve", `300 "1" from bob dest bob`)
				x.popped("bob", "bob", byID("1"))
				x.missed("bob", byID("1"))
				x.holds("bob", `"2"`)
				x.holds("eve", `300 "1" from bob dest bob`, `300 "1" from bob dest friends`)
			},
		}, {
			name: "key/from", mode: reliableMode,
			text: "From, where it is not empty, narrows a key to the messages that show this sender",
			run: func(x *fixture) {
				same(x)
				x.missed("bob", bachata.Key{ID: "1", From: "max"}, bachata.Key{ID: "2", From: "eve"})
				x.popped("bob", "bob", bachata.Key{ID: "1", From: "eve"})
				x.holds("anna")
				x.holds("eve", `300 "1" from bob dest bob`)
				x.popped("bob", "bob", bachata.Key{ID: "1", From: "anna"})
				x.holds("anna", `300 "1" from bob dest bob`)
			},
		}, {
			name: "key/dest", mode: reliableMode,
			text: "Dest, where it is not empty, narrows a key to the messages that were sent to it",
			run: func(x *fixture) {
				same(x)
				x.missed("bob", bachata.Key{ID: "1", Dest: "max"}, bachata.Key{ID: "1", From: "anna", Dest: "friends"})
				x.popped("bob", "bob", bachata.Key{ID: "1", Dest: "friends"})
				x.missed("bob", bachata.Key{ID: "1", Dest: "friends"})
				x.holds("eve", `300 "1" from bob dest friends`)
				x.popped("bob", "bob", bachata.Key{ID: "1", From: "eve", Dest: "bob"})
				x.holds("bob", `"1"`, `"2"`)
			},
		}, {
			name: "key/shown name", mode: reliableMode,
			text: "From in a key is the shown sender, not the channel of origin",
			run: func(x *fixture) {
				m := message("1", "bob")
				m.From = "Anna B."
				x.stored(m)
				x.missed("bob", bachata.Key{ID: "1", From: "anna"})
				x.popped("bob", "bob", bachata.Key{ID: "1", From: "Anna B."})
			},
		}, {
			name: "key/text of numbers", mode: reliableMode,
			text: "ids in keys compare by text",
			run: func(x *fixture) {
				m := message("1.10", "bob")
				m.ID.Number = true
				x.stored(m)
				x.missed("bob", byID("1.1"), byID(`"1.10"`))
				x.popped("bob", "bob", byID("1.10"))
			},
		}, {
			name: "key/empty", mode: reliableMode,
			text: "a message without an id is no message with the id \"\": a key without cursor and id names nothing",
			run: func(x *fixture) {
				x.stored(nameless("a text", "bob"))
				x.missed("bob", bachata.Key{}, bachata.Key{From: "anna"}, bachata.Key{From: "anna", Dest: "bob"})
				x.delivered("bob", bachata.Key{}, true)
				x.holds("bob", "a text")
			},
		},
	}
}

// unknownKeys names many ids that are not there. Noise is no reason to fail: one good comparison is enough.
func unknownKeys(x *fixture) {
	const messages, names, factor = 9000, 20_000, 20
	var batch []bachata.Item
	for i := range messages {
		batch = append(batch, message(fmt.Sprint(i), "full"))
	}
	x.stored(append(batch, message("only", "small"))...)
	keys := make([]bachata.Key, names)
	for i := range keys {
		keys[i] = byID(fmt.Sprint("unknown ", i))
	}
	cost := func(channel string) time.Duration {
		start := time.Now()
		_, err := x.q.PopDelivered(x.ctx, channel, channel, keys)
		took := time.Since(start)
		x.mustHold(err, "PopDelivered")
		return took
	}
	x.later(func() string {
		small, full := cost("small"), cost("full")
		if full <= factor*small {
			return ""
		}
		return fmt.Sprintf("%d unknown ids take %v in an inbox of %d messages, %v in an inbox of one", names, full, messages, small)
	})
}
