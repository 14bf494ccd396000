package disk_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

const smallSegment = 64 << 10

func open(t *testing.T, fsys vfs.FS, o bachata.QueueOptions) *disk.Queue {
	t.Helper()
	q, err := disk.Open("q", &disk.Options{QueueOptions: o, SegmentBytes: smallSegment, FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func put(t *testing.T, q *disk.Queue, item bachata.Item) bachata.PutResult {
	t.Helper()
	r, err := q.Put(context.Background(), []bachata.Item{item})
	if err != nil {
		t.Fatal(err)
	}
	return r[0]
}

func pop(t *testing.T, q *disk.Queue, channel string, keys ...bachata.Key) []bachata.Popped {
	t.Helper()
	p, err := q.PopDelivered(context.Background(), channel, channel, keys)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fetch(t *testing.T, q *disk.Queue, channel string) []bachata.Envelope {
	t.Helper()
	list, err := q.Fetch(context.Background(), channel, 0, bachata.Limit{})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// fill writes segments full of what is gone at once and not remembered.
func fill(t *testing.T, q *disk.Queue, segments int) {
	t.Helper()
	payload := []byte(strings.Repeat("x", 8<<10))
	for range segments * 8 {
		put(t, q, bachata.Item{Channels: []string{"filler"}, Payload: payload})
		pop(t, q, "filler", bachata.Key{Cursor: fetch(t, q, "filler")[0].Cursor})
	}
}

// reclaimAll gives back every segment that is sealed by now.
func reclaimAll(t *testing.T, q *disk.Queue) {
	t.Helper()
	for range q.Segments() {
		// The reclaimer works at the same time, and may be faster.
		if _, err := q.ReclaimOldest(); err != nil && !errors.Is(err, seglog.ErrNoSegment) {
			t.Fatal(err)
		}
	}
}

// TestReclaimKeeps moves one of everything through the log, twice around, and reopens it in between.
func TestReclaimKeeps(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	now := time.UnixMilli(1_700_000_000_000)
	o := bachata.QueueOptions{Now: func() time.Time { return now }, DropOldest: true, InboxMessages: 3, SweepEvery: -1}
	q := open(t, mem, o)
	group := bachata.Item{
		Channels: []string{"bob", "eve", "tom"}, ID: bachata.ID{Text: "7", Number: true}, Origin: "anna", From: "Anna", Dest: "group",
		Payload: []byte("to all"),
	}
	put(t, q, group)
	now = now.Add(time.Second)
	pop(t, q, "eve", bachata.Key{ID: "7"}) // a receipt for anna, and remembered
	for i := range 5 {                     // gaps, and receipts of what was dropped
		put(t, q, bachata.Item{Channels: []string{"kim"}, ID: bachata.StringID(fmt.Sprint("k", i)), Origin: "bob", Dest: "kim", Payload: []byte("k")})
	}
	done := bachata.Item{Channels: []string{"bob"}, ID: bachata.StringID("done"), Origin: "tom", Dest: "bob", Payload: []byte("d")}
	put(t, q, done)
	pop(t, q, "bob", bachata.Key{ID: "done"})
	pop(t, q, "tom", bachata.Key{Cursor: fetch(t, q, "tom")[1].Cursor}) // the receipt; it comes again
	channels := []string{"anna", "bob", "eve", "tom", "kim"}
	want := map[string][]bachata.Envelope{}
	for _, channel := range channels {
		want[channel] = fetch(t, q, channel)
	}
	if n := len(want["kim"]); n != 4 || want["kim"][0].Gap.Dropped != 2 {
		t.Fatalf("inbox of kim is %+v", want["kim"])
	}
	stats := q.Stats()
	same := func(when string) {
		t.Helper()
		for _, channel := range channels {
			if got := fetch(t, q, channel); !reflect.DeepEqual(got, want[channel]) {
				t.Errorf("%s: inbox of %s is\n%+v, want\n%+v", when, channel, got, want[channel])
			}
		}
		if got := q.Stats(); got != stats {
			t.Errorf("%s: %+v, want %+v", when, got, stats)
		}
	}
	for round := range 3 {
		fill(t, q, 3)
		reclaimAll(t, q)
		same(fmt.Sprint("round ", round, " after reclaim"))
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		q = open(t, mem, o)
		same(fmt.Sprint("round ", round, " after reopen"))
	}
	for _, item := range []bachata.Item{group, done} {
		for _, status := range put(t, q, item) {
			if status != bachata.Duplicate {
				t.Errorf("%s again is %v, want duplicate", item.ID, status)
			}
		}
	}
	if list := fetch(t, q, "anna"); len(list) != 2 || list[1].ID != group.ID || list[1].From != "eve" || list[1].Time != want["anna"][0].Time {
		t.Errorf("inbox of anna is %+v, want the receipt of eve twice", list)
	}
	if list := fetch(t, q, "tom"); len(list) != 2 || list[1].ID.Text != "done" || list[1].From != "bob" {
		t.Errorf("inbox of tom is %+v, want the receipt once more", list)
	}
}

// TestReclaimOriginalAndCopy opens logs in which both are.
func TestReclaimOriginalAndCopy(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	q := open(t, mem, bachata.QueueOptions{})
	put(t, q, bachata.Item{Channels: []string{"bob", "eve"}, ID: bachata.StringID("1"), Origin: "anna", Dest: "g", Payload: []byte("p")})
	fill(t, q, 2)
	// A segment is given back by renaming or removing its file: what is copied is safe by then.
	failed := false
	mem.OnOp(func(op vfs.Op) error {
		if op.Kind == vfs.OpRename || op.Kind == vfs.OpRemove {
			failed = true
			return context.DeadlineExceeded
		}
		return nil
	})
	if _, err := q.ReclaimOldest(); err == nil || !failed {
		t.Fatal("reclaim did not fail")
	}
	mem.OnOp(nil)
	_ = q.Close()
	q = open(t, mem, bachata.QueueOptions{})
	for _, channel := range []string{"bob", "eve"} {
		if list := fetch(t, q, channel); len(list) != 1 {
			t.Errorf("inbox of %s is %+v, want one message", channel, list)
		}
		pop(t, q, channel, bachata.Key{ID: "1"})
	}
	if list := fetch(t, q, "anna"); len(list) != 2 {
		t.Errorf("inbox of anna is %+v, want two receipts", list)
	}
}

// TestReclaimGivesBack confirms all and waits for the reclaimer.
func TestReclaimGivesBack(t *testing.T) {
	t.Parallel()
	q := open(t, vfs.NewMem(), bachata.QueueOptions{})
	payload := []byte(strings.Repeat("x", 4<<10))
	for range 400 {
		put(t, q, bachata.Item{Channels: []string{"bob"}, Dest: "bob", Payload: payload})
	}
	if n := q.Segments(); n < 20 {
		t.Fatalf("%d segments, want more", n)
	}
	for _, e := range fetch(t, q, "bob") {
		pop(t, q, "bob", bachata.Key{Cursor: e.Cursor})
	}
	deadline := time.Now().Add(30 * time.Second)
	for q.Segments() > 4 {
		if time.Now().After(deadline) {
			t.Fatalf("%d segments are left", q.Segments())
		}
		time.Sleep(10 * time.Millisecond) // polled: the reclaimer tells nobody
	}
}
