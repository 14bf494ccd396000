package inbox_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
)

func TestWindow(t *testing.T) {
	t.Parallel()
	h := newHarness(t, bachata.QueueOptions{Dedupe: 10 * time.Minute})
	again := func(want bachata.PutStatus, when string) {
		t.Helper()
		if got := h.put("anna", "1", "bob")[0]; got != want {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	again(bachata.Stored, "first")
	h.after(time.Hour)
	again(bachata.Duplicate, "pending, long after the window")
	h.pop("bob", bachata.Key{ID: "1"})
	again(bachata.Stored, "delivered after the window")
	h.pop("bob", bachata.Key{ID: "1"})
	h.after(10*time.Minute - time.Millisecond)
	again(bachata.Duplicate, "delivered, at the end of the window")
	h.want("anna", "receipt 0 bob", "receipt 0 bob", "receipt 0 bob")
	h.after(time.Millisecond)
	again(bachata.Stored, "after the window")
	h.replay("anna", "bob")
}

func TestCapShrinksTheWindow(t *testing.T) {
	t.Parallel()
	h := newHarness(t, bachata.QueueOptions{Dedupe: time.Hour, DedupeCap: 160})
	var window int64
	h.book.OnShrink(func(left, _ int64) { window = left })
	for i := range 1000 {
		h.put("anna", fmt.Sprint(i), "bob")
		if i > 0 { // one stays pending
			h.pop("bob", bachata.Key{ID: fmt.Sprint(i)})
		}
		h.after(time.Second)
	}
	if n := h.book.Stats().Remembered; n > 160 || n < 130 {
		t.Errorf("%d ids are remembered, want at most 160 and not much less", n)
	}
	if window < 130_000 || window > 160_000 {
		t.Errorf("the window is %d ms, want about as many seconds as ids are remembered", window)
	}
	for i := 1000 - int(window/1000); i < 1000; i++ {
		if got := h.put("anna", fmt.Sprint(i), "bob")[0]; got != bachata.Duplicate {
			t.Errorf("id %d within the window that is left is %v, want duplicate", i, got)
		}
	}
	if got := h.put("anna", "0", "bob")[0]; got != bachata.Duplicate {
		t.Errorf("a pending id is %v, want duplicate", got)
	}
	if got := h.put("anna", "1", "bob")[0]; got != bachata.Stored {
		t.Errorf("an id that was forgotten is %v, want stored", got)
	}
}

// TestCapCountsReceipts remembers messages to a group, each with eight receipts more than one.
func TestCapCountsReceipts(t *testing.T) {
	t.Parallel()
	h := newHarness(t, bachata.QueueOptions{DedupeCap: 300})
	group := make([]string, 9)
	for i := range group {
		group[i] = fmt.Sprint("member ", i)
	}
	for i := range 500 {
		h.put("anna", fmt.Sprint(i), group...)
		for _, member := range group {
			h.pop(member, bachata.Key{ID: fmt.Sprint(i)})
		}
	}
	if n := h.book.Stats().Remembered; n > 100 || n < 70 {
		t.Errorf("%d ids are remembered, want at most 100 and not much less: each counts as three", n)
	}
	h.replay(group...)
}

// TestRememberedBytes measures what known.go and the options state. It is not parallel: others would be measured too.
func TestRememberedBytes(t *testing.T) {
	const ids = 200_000
	h := newHarness(t, bachata.QueueOptions{})
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for i := range ids {
		h.put("anna", fmt.Sprint(i), "bob")
		h.pop("bob", bachata.Key{ID: fmt.Sprint(i)})
		if list := h.fetch("anna"); len(list) > 0 {
			h.pop("anna", bachata.Key{Cursor: bachata.Cursor(list[0].Seq)})
		}
		h.journal = nil
	}
	got := float64(heap()-before) / ids
	t.Logf("%.1f bytes per remembered id", got)
	if got < 50 || got > 90 {
		t.Errorf("%.1f bytes per remembered id, stated are about 70", got)
	}
	runtime.KeepAlive(h)
}
