package queuetest

import (
	"fmt"
	"slices"

	"github.com/bachata-go/bachata"
)

// match compares an inbox with what Fetch returned of it, and takes over the cursors and the order of what is new.
// anyOrder is for messages that were put in parallel.
func (b *modelInbox) match(got []bachata.Envelope, anyOrder bool) (complaint string) {
	rest := withoutGaps(got)
	var want []*modelEntry // of rest, in the order of the model
	for _, e := range b.entries {
		if e.kind != bachata.KindGap {
			want = append(want, e)
		}
	}
	if c := differUnordered("entries", describeAll(rest), describeModel(want)); c != "" {
		return c
	}
	fresh := slices.IndexFunc(want, func(e *modelEntry) bool { return !e.placed })
	if fresh < 0 {
		fresh = len(want)
	}
	for i, e := range want[:fresh] {
		if at := rest[i].Cursor; describe(rest[i]) != e.describe() || e.cursor != 0 && e.cursor != at {
			return fmt.Sprintf("place %d: %s stood at %d, now there is %s at %d", i, e.describe(), e.cursor, describe(rest[i]), at)
		}
		e.cursor = rest[i].Cursor
		if c := e.same(rest[i]); c != "" {
			return c
		}
		b.largest = max(b.largest, e.cursor)
	}
	order, c := pair(want[fresh:], rest[fresh:], anyOrder)
	if c != "" {
		return c
	}
	for i, e := range order {
		if rest[fresh+i].Cursor <= b.largest {
			return fmt.Sprintf("%s is new and stands at %d, but %d was given out before", e.describe(), rest[fresh+i].Cursor, b.largest)
		}
		if c := e.same(rest[fresh+i]); c != "" {
			return c
		}
		e.cursor, e.placed = rest[fresh+i].Cursor, true
		b.largest = e.cursor
	}
	b.reorder(order)
	b.remember()
	return b.matchGaps(got)
}

func describeModel(entries []*modelEntry) []string {
	var all []string
	for _, e := range entries {
		all = append(all, e.describe())
	}
	return all
}

// pair returns the new entries in the order in which got has them. Messages have to be in order, receipts may be anywhere.
func pair(fresh []*modelEntry, got []bachata.Envelope, anyOrder bool) (order []*modelEntry, complaint string) {
	left := slices.Clone(fresh)
	for _, g := range got {
		i := slices.IndexFunc(left, func(e *modelEntry) bool {
			return e.describe() == describe(g) && e.kind == g.Kind && (g.Kind != bachata.KindReceipt || e.from <= g.Time && g.Time <= e.till)
		})
		if i < 0 {
			return nil, fmt.Sprintf("%s (time %d) is not expected; expected are %s", describe(g), g.Time, lines(describeModel(left)))
		}
		e := left[i]
		if first := slices.IndexFunc(left, func(e *modelEntry) bool { return e.kind == bachata.KindMessage }); !anyOrder && g.Kind == bachata.KindMessage && first != i {
			return nil, fmt.Sprintf("%s stands before %s, which was put first", describe(g), left[first].describe())
		}
		order = append(order, e)
		left = slices.Delete(left, i, i+1)
	}
	return order, ""
}

// same compares the fields that describe leaves out.
func (e *modelEntry) same(g bachata.Envelope) string {
	if e.kind != bachata.KindMessage {
		if g.Time < e.from || g.Time > e.till {
			return fmt.Sprintf("%s is stamped %d, it happened between %d and %d", e.text, g.Time, e.from, e.till)
		}
		return ""
	}
	m := e.message.item
	if g.ID != m.ID || g.From != m.From || g.Dest != m.Dest || string(g.Payload) != string(m.Payload) {
		return fmt.Sprintf("%s was put as %+v and came back as %+v", m.ID, m, g)
	}
	return ""
}

// reorder brings the new entries into the order that the queue gave them. Marks stay before the message that they preceded.
func (b *modelInbox) reorder(order []*modelEntry) {
	start := slices.IndexFunc(b.entries, func(e *modelEntry) bool { return slices.Contains(order, e) })
	if start < 0 {
		return
	}
	tail := slices.Clone(b.entries[start:])
	b.entries = b.entries[:start]
	for _, next := range order {
		if next.kind == bachata.KindMessage {
			for len(tail) > 0 {
				e := tail[0]
				tail = tail[1:]
				if e.kind == bachata.KindGap {
					b.entries = append(b.entries, e)
				} else if e == next {
					break
				}
			}
		}
		b.entries = append(b.entries, next)
	}
	for _, e := range tail {
		if e.kind == bachata.KindGap {
			b.entries = append(b.entries, e)
		}
	}
}

// remember notes what wake-ups may say of the entries: Prev is not before anything that a reader would miss.
func (b *modelInbox) remember() {
	var before bachata.Cursor
	for _, e := range b.entries {
		if _, seen := b.history[e.cursor]; e.kind != bachata.KindGap && !seen {
			b.history[e.cursor] = follow{text: e.describe(), after: before}
		}
		before = max(before, e.cursor)
	}
}

// matchGaps compares the gaps before, between and behind the messages, and what a reader is told of that is in the middle.
func (b *modelInbox) matchGaps(got []bachata.Envelope) string {
	want := []bachata.Gap{{}}
	var lost []bachata.Cursor
	for _, e := range b.entries {
		switch e.kind {
		case bachata.KindMessage:
			want = append(want, bachata.Gap{})
		case bachata.KindGap:
			add(&want[len(want)-1], e.gap)
			lost = append(lost, e.cursor)
		}
	}
	have := []bachata.Gap{{}}
	for _, g := range got {
		switch g.Kind {
		case bachata.KindMessage:
			have = append(have, bachata.Gap{})
		case bachata.KindGap:
			if total(g.Gap) <= 0 {
				return "there is a gap of nothing"
			}
			add(&have[len(have)-1], g.Gap)
		}
	}
	if !slices.Equal(have, want) {
		return fmt.Sprintf("the gaps before, between and behind the messages are %+v, want %+v", have, want)
	}
	return b.matchReaders(got, lost)
}

// matchReaders checks that a reader, wherever it is, meets gaps for all that was lost behind its cursor.
func (b *modelInbox) matchReaders(got []bachata.Envelope, lost []bachata.Cursor) string {
	if len(lost) == 0 {
		return ""
	}
	for reader := range b.history {
		missed, told := 0, 0
		for _, c := range lost {
			if c > reader {
				missed++
			}
		}
		for _, g := range got {
			if g.Kind == bachata.KindGap && g.Cursor > reader {
				told += total(g.Gap)
			}
		}
		if told < missed {
			return fmt.Sprintf("a reader whose cursor is %d misses %d entries and is told of %d", reader, missed, told)
		}
	}
	return ""
}

func add(sum *bachata.Gap, g bachata.Gap) {
	sum.Dropped += g.Dropped
	sum.Expired += g.Expired
	sum.Receipts += g.Receipts
}

func total(g bachata.Gap) int { return g.Dropped + g.Expired + g.Receipts }

// popGap applies that the gap g, one of got, was taken. The gaps that stand between the same messages share the marks
// there in their order.
func (b *modelInbox) popGap(got []bachata.Envelope, g bachata.Envelope) {
	slot := 0
	var earlier bachata.Gap // in the same slot
	for _, e := range got {
		if e.Cursor == g.Cursor {
			break
		}
		switch e.Kind {
		case bachata.KindMessage:
			slot++
			earlier = bachata.Gap{}
		case bachata.KindGap:
			add(&earlier, e.Gap)
		}
	}
	left := g.Gap
	b.entries = slices.DeleteFunc(b.entries, func(e *modelEntry) bool {
		if e.kind == bachata.KindMessage {
			slot--
		}
		if slot != 0 || e.kind != bachata.KindGap {
			return false
		}
		return !subtract(&earlier, e.gap) && subtract(&left, e.gap)
	})
}

// subtract takes one, a mark of one entry, off sum if there is as much in it.
func subtract(sum *bachata.Gap, one bachata.Gap) bool {
	if sum.Dropped < one.Dropped || sum.Expired < one.Expired || sum.Receipts < one.Receipts {
		return false
	}
	add(sum, bachata.Gap{Dropped: -one.Dropped, Expired: -one.Expired, Receipts: -one.Receipts})
	return true
}
