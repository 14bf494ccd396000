package queuetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/bachata-go/bachata"
)

// durableClauses are held by queues whose Info().Durable is true. The model test goes further, with random operations.
func durableClauses() []clause {
	small := bachata.QueueOptions{InboxMessages: 4, DropOldest: true, Receipts: 4, Dedupe: 10 * time.Minute}
	again := func(how string, needs needs, restart func(x *fixture)) []clause {
		return []clause{
			{
				name: how + "/messages", mode: reliableMode, needs: needs, options: small,
				text: "messages, receipts and gaps that were accepted are there again after " + how + ", in their order",
				run:  func(x *fixture) { x.keepsAll(restart) },
			}, {
				name: how + "/ids", mode: reliableMode, needs: needs, options: small,
				text: "resent ids are recognized after " + how + ", and have their receipts again",
				run: func(x *fixture) {
					pending, delivered, server := message("1", "bob"), message("2", "bob"), messageFrom("", "3", "bob")
					x.stored(pending, delivered, server)
					x.popped("bob", "Bobby", byID("2"))
					x.clear("anna")
					for range 3 {
						restart(x)
						x.answered(delivered, bachata.Duplicate)
						x.answered(pending, bachata.Duplicate)
						x.answered(server, bachata.Duplicate)
						x.holds("anna", `300 "2" from Bobby dest bob`)
						x.clear("anna")
						x.holds("bob", `"1"`, `"3"`)
					}
				},
			}, {
				name: how + "/pops", mode: reliableMode, needs: needs,
				text: "what was confirmed is gone after " + how + ", and has made its receipt",
				run: func(x *fixture) {
					x.stored(message("1", "bob", "eve"), nameless("text", "bob"), message("2", "bob"))
					x.popped("bob", "bob", byID("1"), at(x.fetch("bob")[1]))
					restart(x)
					x.holds("bob", `"2"`)
					x.holds("eve", `"1"`)
					x.holds("anna", `300 "1" from bob dest bob`)
					x.missed("bob", byID("1"))
					x.clear("anna")
					restart(x)
					x.holds("anna")
					x.popped("eve", "eve", byID("1"))
					x.holds("anna", `300 "1" from eve dest bob`)
				},
			}, {
				name: how + "/time", mode: reliableMode, needs: needs | needClock,
				options: bachata.QueueOptions{InboxAge: 10 * time.Minute, Dedupe: 30 * time.Minute, SweepEvery: 20 * time.Millisecond},
				text:    "messages grow old, and the dedupe window goes on, across " + how,
				run: func(x *fixture) {
					old, m := message("0", "bob"), message("1", "bob")
					x.stored(old, m)
					x.popped("bob", "bob", byID("1"))
					x.clear("anna")
					x.store.Advance(9 * time.Minute)
					restart(x)
					x.holds("bob", `"0"`)
					x.store.Advance(2 * time.Minute)
					x.later(func() string {
						return differ("inbox of anna", describeAll(x.fetch("anna")), []string{`480 "0" from bob dest bob`})
					})
					restart(x)
					x.holds("anna", `480 "0" from bob dest bob`)
					x.answered(m, bachata.Duplicate)
					x.store.Advance(80 * time.Minute)
					restart(x)
					x.answered(m, bachata.Stored)
				},
			}, {
				name: how + "/simple", mode: simpleMode, needs: needs,
				text: "a text that was put is there after " + how,
				run: func(x *fixture) {
					x.stored(message("1", "bob"), message("2", "bob"))
					restart(x)
					x.stored(message("3", "bob"))
					x.holdsItems("bob", message("1", "bob"), message("2", "bob"), message("3", "bob"))
				},
			},
		}
	}
	all := append(again("a restart", needDurable, (*fixture).reopen), again("a crash", needCrash, (*fixture).crash)...)
	return append(all, []clause{
		{
			name: "a restart/simple fetched", mode: simpleMode, needs: needDurable,
			text: "a text that was handed out is not there after a restart",
			run: func(x *fixture) {
				x.stored(message("1", "bob"), message("2", "bob"))
				x.fetchAfter("bob", 0, bachata.Limit{Messages: 1})
				x.reopen()
				x.holdsItems("bob", message("2", "bob"))
			},
		}, {
			name: "a crash/duplicate in flight", mode: reliableMode, needs: needCrash,
			text: "a duplicate is answered after the same barrier as the first: once any of them is answered, the message survives a crash",
			run: func(x *fixture) {
				for round := range 20 {
					m := message(fmt.Sprint(round), "bob", "eve")
					answered := make(chan error, 8)
					q := x.q
					for range 8 {
						go func() {
							_, err := q.Put(x.ctx, []bachata.Item{m})
							answered <- err
						}()
					}
					x.mustHold(<-answered, "Put")
					x.crash()
					for range 7 {
						<-answered
					}
					x.answered(m, bachata.Duplicate, bachata.Duplicate)
					x.popped("bob", "bob", byID(m.ID.Text))
					x.popped("eve", "eve", byID(m.ID.Text))
				}
			},
		}, {
			name: "a crash/failed pop", mode: reliableMode, needs: needCrash | needFail,
			text: "Pop and receipt are one commit: after a failure and a crash there is the message or its receipt, not both and not neither",
			run: func(x *fixture) {
				x.stored(message("1", "bob"))
				x.store.Fail()
				if _, err := x.q.PopDelivered(x.ctx, "bob", "bob", []bachata.Key{byID("1")}); err != nil && !errors.Is(err, bachata.ErrUnavailable) {
					x.broken("PopDelivered returned %v, want ErrUnavailable", err)
				}
				x.crash()
				if there, told := len(x.fetch("bob")), len(x.fetch("anna")); there+told != 1 {
					x.broken("%d messages and %d receipts are left of 1 message", there, told)
				}
			},
		},
	}...)
}

// keepsAll fills inboxes with everything that can be in one, and compares them across restarts.
func (x *fixture) keepsAll(restart func(x *fixture)) {
	for i := range 7 {
		x.stored(message(fmt.Sprint(i), "bob")) // drops the first three: gap, and 481s
	}
	m := messageFrom("eve", "1.50", "bob", "max")
	m.ID.Number, m.Dest, m.From = true, "friends", "Eve"
	x.stored(m, nameless("a text", "max"))
	x.popped("max", "Max", byID("1.50"))
	x.popped("bob", "Bobby", byID("5"))
	for i := range 6 {
		x.stored(message(fmt.Sprint("r", i), "eve")) // and receipts past their bound
		x.popped("eve", "eve", byID(fmt.Sprint("r", i)))
	}
	channels := []string{"anna", "bob", "eve", "max"}
	state := func() (all []string) {
		for _, channel := range channels {
			for _, e := range x.fetch(channel) {
				all = append(all, fmt.Sprintf("%s: %s time %d from %s dest %s %q", channel, describe(e), e.Time, e.From, e.Dest, e.Payload))
			}
		}
		return all
	}
	want := state()
	for i := range 3 {
		restart(x)
		x.soon(func() string { return differ(fmt.Sprint("after restart ", i+1), state(), want) })
	}
}
