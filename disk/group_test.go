package disk_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
	"github.com/bachata-go/bachata/internal/vfs"
)

// members returns n channels with long names.
func members(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%036d", i)
	}
	return list
}

// groupTraffic puts n messages to all members, each of which confirms them all. What the sender is told of it stays in
// its inbox if keep is set.
func groupTraffic(t *testing.T, q *disk.Queue, members []string, n int, keep bool) {
	t.Helper()
	for i := range n {
		put(t, q, bachata.Item{
			Channels: members, ID: bachata.StringID(fmt.Sprint("m", i)), Origin: "anna", From: "anna", Dest: "team", Payload: []byte("x"),
		})
		for _, m := range members {
			pop(t, q, m, bachata.Key{ID: fmt.Sprint("m", i)})
		}
		if keep {
			continue
		}
		var keys []bachata.Key
		for _, e := range fetch(t, q, "anna") {
			keys = append(keys, bachata.Key{Cursor: e.Cursor})
		}
		pop(t, q, "anna", keys...)
	}
}

// TestIdleQueueWritesNothing has much be remembered of messages to a group, and then does nothing.
func TestIdleQueueWritesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := disk.Options{QueueOptions: bachata.QueueOptions{SweepEvery: -1}, SegmentBytes: 256 << 10, FS: vfs.NewMem()}
		q, err := disk.Open("q", &o)
		if err != nil {
			t.Fatal(err)
		}
		groupTraffic(t, q, members(20), 3000, false)
		time.Sleep(10 * time.Second)
		before := q.NewestSegment()
		time.Sleep(60 * time.Second)
		if after := q.NewestSegment(); after-before > 2 {
			t.Errorf("a queue that nobody used for a minute has written %d segments", after-before)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestReclaimManyReceipts gives back segments whose ids have more receipts, all together, than a segment holds.
func TestReclaimManyReceipts(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{false, true} {
		mem := vfs.NewMem()
		o := bachata.QueueOptions{SweepEvery: -1}
		q := open(t, mem, o)
		group := members(400) // one message's receipts take more than half a segment, as they wait and as they are remembered
		groupTraffic(t, q, group, 5, keep)
		fill(t, q, 3)
		reclaimAll(t, q)
		waiting := len(fetch(t, q, "anna"))
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		q = open(t, mem, o)
		if n := len(fetch(t, q, "anna")); n != waiting || keep != (n > 0) {
			t.Errorf("%d receipts after reopening, want %d", n, waiting)
		}
		again := bachata.Item{Channels: group, ID: bachata.StringID("m0"), Origin: "anna", From: "anna", Dest: "team", Payload: []byte("x")}
		for _, status := range put(t, q, again) {
			if status != bachata.Duplicate {
				t.Fatalf("put again it is %v, want duplicate", status)
			}
		}
		if n := len(fetch(t, q, "anna")) - waiting; n != len(group) {
			t.Errorf("put again it is told of %d times, want %d", n, len(group))
		}
	}
}

// TestReclaimLongNames is about one id whose receipts alone are larger than a segment.
func TestReclaimLongNames(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	q := open(t, mem, bachata.QueueOptions{SweepEvery: -1})
	group := members(400)
	item := bachata.Item{Channels: group, ID: bachata.StringID("1"), Origin: "anna", From: "anna", Dest: "team", Payload: []byte("x")}
	put(t, q, item)
	for _, m := range group {
		by := m + strings.Repeat("_", 200)
		if _, err := q.PopDelivered(context.Background(), m, by, []bachata.Key{{ID: "1"}}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		fill(t, q, 3)
		reclaimAll(t, q)
	}
	if n := len(fetch(t, q, "anna")); n != len(group) {
		t.Errorf("%d receipts wait, want %d", n, len(group))
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	q = open(t, mem, bachata.QueueOptions{SweepEvery: -1})
	for _, status := range put(t, q, item) {
		if status != bachata.Duplicate {
			t.Fatalf("put again it is %v, want duplicate", status)
		}
	}
}
