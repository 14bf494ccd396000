package inbox_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
)

func TestGapsMerge(t *testing.T) {
	t.Parallel()
	h := newHarness(t, bachata.QueueOptions{DropOldest: true, InboxMessages: 2})
	for i := range 6 {
		h.put("anna", fmt.Sprint(i), "bob")
	}
	h.want("bob", "gap 4 0 0", "message", "message") // told from now on
	h.put("anna", "6", "bob")
	h.put("anna", "7", "bob")
	h.want("bob", "gap 4 0 0", "gap 2 0 0", "message", "message")
	h.want("anna", "receipt 2 bob", "receipt 2 bob", "receipt 2 bob", "receipt 2 bob", "receipt 2 bob", "receipt 2 bob")
	h.replay("anna", "bob")
}

func TestGapKeepsItsPlace(t *testing.T) {
	t.Parallel()
	h := newHarness(t, bachata.QueueOptions{InboxAge: time.Hour, ReceiptAge: 3 * time.Hour})
	h.put("bob", "r", "eve")
	h.put("anna", "1", "bob")
	h.pop("eve", bachata.Key{ID: "r"}) // a receipt behind the message
	h.after(30 * time.Minute)
	h.put("anna", "2", "bob")
	h.after(30 * time.Minute)
	h.expire("bob")
	h.want("bob", "gap 0 1 0", "receipt 0 eve", "message")
	h.after(3 * time.Hour)
	h.expire("bob")
	h.want("bob", "gap 0 1 0", "gap 0 1 1") // the first was told, so the second stands by itself
	h.replay("anna", "bob", "eve")
}

func TestGapIsNotTakenByALostCursor(t *testing.T) {
	t.Parallel()
	h := newHarness(t, bachata.QueueOptions{DropOldest: true, InboxMessages: 1})
	h.put("anna", "1", "bob")
	lost := h.fetch("bob")[0].Seq
	h.put("anna", "2", "bob")
	if h.pop("bob", bachata.Key{Cursor: bachata.Cursor(lost)}) {
		t.Error("the cursor of a message that was dropped took something")
	}
	h.want("bob", "gap 1 0 0", "message")
}

func TestSeenGapsStayBounded(t *testing.T) {
	t.Parallel()
	h := newHarness(t, bachata.QueueOptions{DropOldest: true, InboxMessages: 1})
	const lost = 1000
	for i := range lost + 1 {
		h.put("anna", fmt.Sprint(i), "bob")
		h.fetch("bob")
	}
	list := h.fetch("bob")
	if len(list) > 100 {
		t.Errorf("%d entries in an inbox of one message", len(list))
	}
	told := 0
	for _, f := range list {
		told += f.Gap.Dropped
	}
	if told != lost {
		t.Errorf("gaps count %d, want %d", told, lost)
	}
}

// TestGapCountsSaturate loses more than a gap can count: one that the disk format refuses must not come of it.
func TestGapCountsSaturate(t *testing.T) {
	t.Parallel()
	h := newHarness(t, bachata.QueueOptions{DropOldest: true, InboxMessages: 1})
	const most = math.MaxInt32
	gap := func(seq uint64, dropped int) inbox.Op {
		return inbox.Op{Kind: inbox.OpGap, Channel: "bob", Seq: seq, Gap: bachata.Gap{Dropped: dropped, Receipts: most}, Time: h.now}
	}
	h.book.Apply([]inbox.Op{gap(1, most-1)}, 1, 1)
	for i := range 4 {
		h.put("anna", fmt.Sprint(i), "bob")
	}
	h.want("bob", fmt.Sprint("gap ", most, " 0 ", most), "message")
}

func TestReceiptsBound(t *testing.T) {
	t.Parallel()
	h := newHarness(t, bachata.QueueOptions{Receipts: 3})
	for i := range 10 {
		h.put("anna", fmt.Sprint(i), "bob")
		h.pop("bob", bachata.Key{ID: fmt.Sprint(i)})
	}
	h.want("anna", "gap 0 0 7", "receipt 0 bob", "receipt 0 bob", "receipt 0 bob")
	h.replay("anna", "bob")
}

// TestManyExpire is more than one decision lets expire.
func TestManyExpire(t *testing.T) {
	t.Parallel()
	h := newHarness(t, bachata.QueueOptions{})
	for i := range 1000 {
		h.put("anna", fmt.Sprint(i), "bob")
	}
	h.after(31 * 24 * time.Hour)
	h.expire("bob")
	h.want("bob", "gap 0 1000 0")
	if n := len(h.fetch("anna")); n != 1000 {
		t.Errorf("%d receipts, want 1000", n)
	}
	h.replay("anna", "bob")
}

// TestNothingIsKept does everything at random, takes all that is left and lets the window pass: nothing is kept then.
func TestNothingIsKept(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		h := newHarness(t, bachata.QueueOptions{
			DropOldest: seed%2 == 0, InboxMessages: 5, InboxBytes: 100, Receipts: 4,
			InboxAge: 20 * time.Minute, ReceiptAge: 30 * time.Minute, Dedupe: 10 * time.Minute, DedupeCap: 40,
		})
		channels := []string{"a", "b", "c", "d"}
		for range 500 {
			at := rng.IntN(len(channels))
			channel := channels[at]
			switch rng.IntN(6) {
			case 0, 1, 2:
				id := ""
				if rng.IntN(8) > 0 {
					id = fmt.Sprint(rng.IntN(60))
				}
				h.put(channels[rng.IntN(4)], id, channels[at:at+1+rng.IntN(4-at)]...)
			case 3, 4:
				if list := h.fetch(channel); len(list) > 0 {
					h.pop(channel, bachata.Key{Cursor: bachata.Cursor(list[rng.IntN(len(list))].Seq)})
				}
			case 5:
				h.after(time.Duration(rng.IntN(200)) * time.Second)
				h.expire(channel)
			}
		}
		h.replay(channels...)
		for range 2 { // what is taken makes receipts
			for _, channel := range channels {
				for _, f := range h.fetch(channel) {
					h.pop(channel, bachata.Key{Cursor: bachata.Cursor(f.Seq)})
				}
			}
		}
		h.after(time.Hour)
		for h.book.Age(h.now, 100) {
		}
		for _, channel := range channels {
			for _, f := range h.fetch(channel) {
				h.pop(channel, bachata.Key{Cursor: bachata.Cursor(f.Seq)})
			}
		}
		h.book.Discard()
		if got := h.book.Counts(); got != (inbox.Counts{}) {
			t.Errorf("seed %d: %+v is kept", seed, got)
		}
	}
}
