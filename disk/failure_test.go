package disk_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
	"github.com/bachata-go/bachata/internal/vfs"
)

func failureItem(i int) bachata.Item {
	return bachata.Item{
		Channels: []string{"bob"}, ID: bachata.StringID(fmt.Sprint(i)), Origin: "anna", From: "anna", Dest: "bob",
		Payload: []byte(strings.Repeat("x", 2<<10)),
	}
}

// fillUp puts messages for bob until the disk is full, and returns how many there were.
func fillUp(t *testing.T, q *disk.Queue) (accepted int) {
	t.Helper()
	for ; accepted < 1000; accepted++ {
		_, err := q.Put(t.Context(), []bachata.Item{failureItem(accepted)})
		if err == nil {
			continue
		}
		if !errors.Is(err, bachata.ErrUnavailable) || !strings.Contains(err.Error(), "disk is full") {
			t.Fatalf("Put on a full disk: %v, want ErrUnavailable that says so", err)
		}
		return accepted
	}
	t.Fatal("the disk does not fill")
	return 0
}

// TestDiskFull fills the disk: puts are refused with the reason, what was accepted can be read and confirmed, and when
// there is room again all goes on.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	mem.SetCapacity(5 * smallSegment)
	q := open(t, mem, bachata.QueueOptions{})
	ctx := context.Background()
	accepted := fillUp(t, q)
	list := fetch(t, q, "bob")
	if len(list) != accepted {
		t.Fatalf("%d messages on a full disk, want %d", len(list), accepted)
	}
	for i := range accepted {
		if !pop(t, q, "bob", bachata.Key{ID: fmt.Sprint(i)})[0].Found {
			t.Fatalf("message %d is not there", i)
		}
	}
	if n := len(fetch(t, q, "anna")); n != accepted {
		t.Errorf("%d receipts, want %d", n, accepted)
	}
	deadline := time.Now().Add(30 * time.Second) // the reclaimer makes room by itself: nothing is pending
	for {
		_, err := q.Put(ctx, []bachata.Item{failureItem(accepted)})
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("Put after all was confirmed: %v", err)
		}
		time.Sleep(10 * time.Millisecond) // polled: the reclaimer tells nobody
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	q = open(t, mem, bachata.QueueOptions{})
	if n := len(fetch(t, q, "anna")); n != accepted {
		t.Errorf("%d receipts after reopening, want %d", n, accepted)
	}
}

// TestFullDiskIsRead fills the disk to the last byte, has something expire, and reads.
func TestFullDiskIsRead(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	mem.SetCapacity(3 * smallSegment)
	var now atomic.Int64
	now.Store(1_700_000_000_000)
	q := open(t, mem, bachata.QueueOptions{
		Now: func() time.Time { return time.UnixMilli(now.Load()) }, InboxAge: time.Hour, SweepEvery: -1,
	})
	ctx := context.Background()
	accepted := fillUp(t, q)
	// Confirmations use up what is kept for them: first by long names, then by short ones.
	popped := 0
	for _, size := range []int{8 << 10, 512, 32, 1} {
		for ; popped < accepted; popped++ {
			if _, err := q.PopDelivered(ctx, "bob", strings.Repeat("b", size), []bachata.Key{{ID: fmt.Sprint(popped)}}); err != nil {
				break
			}
		}
	}
	if popped == accepted {
		t.Fatal("the disk is not full")
	}
	now.Add(time.Hour.Milliseconds())
	list, err := q.Fetch(ctx, "bob", 0, bachata.Limit{})
	if err != nil || len(list) == 0 {
		t.Errorf("Fetch on a disk without room: %d envelopes, %v, want them", len(list), err)
	}
	if gone, err := q.CheckDelivered(ctx, "bob", bachata.Key{ID: fmt.Sprint(accepted - 1)}); err != nil || gone {
		t.Errorf("CheckDelivered on a disk without room: %v, %v, want false", gone, err)
	}
}

// TestSyncFails has one sync fail: the queue stops for good, says so from every method, and what it had accepted is there
// when it is opened again.
func TestSyncFails(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	q := open(t, mem, bachata.QueueOptions{})
	ctx := context.Background()
	put(t, q, failureItem(1))
	var fail atomic.Bool
	fail.Store(true)
	mem.OnOp(func(op vfs.Op) error {
		// One of a segment that is in use. Later ones succeed: that must not be believed.
		if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, ".seg") && fail.Swap(false) {
			return syscall.EIO
		}
		return nil
	})
	for try := range 3 {
		if _, err := q.Put(ctx, []bachata.Item{failureItem(2)}); !errors.Is(err, bachata.ErrUnavailable) {
			t.Errorf("try %d: Put: %v, want ErrUnavailable", try, err)
		}
		if _, err := q.Fetch(ctx, "bob", 0, bachata.Limit{}); !errors.Is(err, bachata.ErrUnavailable) {
			t.Errorf("try %d: Fetch: %v, want ErrUnavailable", try, err)
		}
		if _, err := q.PopDelivered(ctx, "bob", "bob", []bachata.Key{{ID: "1"}}); !errors.Is(err, bachata.ErrUnavailable) {
			t.Errorf("try %d: PopDelivered: %v, want ErrUnavailable", try, err)
		}
		if _, err := q.CheckDelivered(ctx, "bob", bachata.Key{ID: "1"}); !errors.Is(err, bachata.ErrUnavailable) {
			t.Errorf("try %d: CheckDelivered: %v, want ErrUnavailable", try, err)
		}
		if _, err := q.Watch("bob", func(bachata.Wake) {}); !errors.Is(err, bachata.ErrUnavailable) {
			t.Errorf("try %d: Watch: %v, want ErrUnavailable", try, err)
		}
	}
	if err := q.Close(); err == nil {
		t.Error("Close says nothing of the failure")
	}
	if err := q.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	q = open(t, mem, bachata.QueueOptions{})
	if list := fetch(t, q, "bob"); len(list) < 1 || list[0].ID.Text != "1" {
		t.Errorf("after reopening the inbox is %+v, want message 1 first", list)
	}
}

// flip changes one bit of the first file that holds text, where it stands.
func flip(t *testing.T, mem *vfs.Mem, text string) (name string, offset int64) {
	t.Helper()
	names, err := mem.List("q")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f, err := mem.Open("q/" + name)
		if err != nil {
			t.Fatal(err)
		}
		size, _ := f.Size()
		b := make([]byte, size)
		_, _ = f.ReadAt(b, 0)
		if at := strings.Index(string(b), text); at >= 0 {
			if _, err := f.WriteAt([]byte{b[at] ^ 4}, int64(at)); err != nil {
				t.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
			return "q/" + name, int64(at)
		}
	}
	t.Fatalf("%q is in no file", text)
	return "", 0
}

// TestDamage flips one bit of a payload: the message is not served, Open refuses, Check names the place.
func TestDamage(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	mem.SetDirect(false) // else the messages are read from memory
	q := open(t, mem, bachata.QueueOptions{})
	for i := range 3 {
		put(t, q, bachata.Item{Channels: []string{"bob"}, Dest: "bob", Payload: fmt.Appendf(nil, "payload %d", i)})
	}
	name, at := flip(t, mem, "payload 1")
	if list := fetch(t, q, "bob"); len(list) != 1 || string(list[0].Payload) != "payload 0" {
		t.Errorf("Fetch returned %+v, want what is before the damage", list)
	}
	_, err := q.Fetch(context.Background(), "bob", fetch(t, q, "bob")[0].Cursor, bachata.Limit{})
	if !errors.Is(err, bachata.ErrUnavailable) || !strings.Contains(err.Error(), name) {
		t.Errorf("Fetch of the damaged message: %v, want an error that names %s", err, name)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Open("q", &disk.Options{SegmentBytes: smallSegment, FS: mem}); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("Open: %v, want an error that names %s", err, name)
	}
	r, err := disk.CheckIn(mem, "q")
	if err != nil || len(r.Damage) != 1 || r.Damage[0].File != name || r.Damage[0].Offset > at || r.Damage[0].Offset < at-200 {
		t.Errorf("Check: %+v, %v, want damage in %s shortly before %d", r, err, name, at)
	}
	if r.Messages != 2 {
		t.Errorf("Check counts %d messages, want the 2 that are good", r.Messages)
	}
}

func TestHeaderDamage(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	q := open(t, mem, bachata.QueueOptions{})
	put(t, q, failureItem(1))
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	name, _ := flip(t, mem, "bachata-queue")
	if _, err := disk.Open("q", &disk.Options{SegmentBytes: smallSegment, FS: mem}); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("Open: %v, want an error that names %s", err, name)
	}
	if r, err := disk.CheckIn(mem, "q"); err != nil || len(r.Damage) != 1 || r.Damage[0].File != name || r.Messages != 1 {
		t.Errorf("Check: %+v, %v, want damage in %s", r, err, name)
	}
	if err := mem.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Open("q", &disk.Options{SegmentBytes: smallSegment, FS: mem}); err == nil {
		t.Error("a log with records was opened without its header")
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q, err := disk.Open(dir, &disk.Options{SegmentBytes: smallSegment})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Open(dir, nil); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("second Open: %v, want ErrLocked", err)
	}
	if _, err := disk.Check(dir); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("Check while it is open: %v, want ErrLocked", err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := disk.Check(dir); err != nil || len(r.Damage) > 0 || !r.Clean {
		t.Errorf("Check: %+v, %v", r, err)
	}
	if _, err := disk.Check(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Check of an empty directory: %v, want fs.ErrNotExist", err)
	}
	for _, o := range []disk.Options{
		{SegmentBytes: 4 << 10},
		{QueueOptions: bachata.QueueOptions{Dedupe: time.Minute}},
		{QueueOptions: bachata.QueueOptions{Dedupe: 8 * 24 * time.Hour}},
		{QueueOptions: bachata.QueueOptions{InboxMessages: -1}},
		{QueueOptions: bachata.QueueOptions{ReceiptAge: -1}},
	} {
		if _, err := disk.Open(t.TempDir(), &o); err == nil {
			t.Errorf("Open with %+v was not refused", o)
		}
	}
}

// TestFullDiskEnds has the reclaimer look, again and again, at a full disk of which all is needed. Then all is
// confirmed, which takes few bytes in the log: there is room again.
func TestFullDiskEnds(t *testing.T) {
	t.Parallel()
	for _, reopen := range []bool{false, true} {
		t.Run(fmt.Sprintf("reopen=%v", reopen), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				mem := vfs.NewMem()
				mem.SetCapacity(5 * smallSegment)
				q := open(t, mem, bachata.QueueOptions{})
				accepted := fillUp(t, q)
				if reopen { // what was written before does not count any more
					if err := q.Close(); err != nil {
						t.Fatal(err)
					}
					q = open(t, mem, bachata.QueueOptions{})
				}
				for range 3 {
					_, err := q.Put(t.Context(), []bachata.Item{failureItem(accepted)})
					if !errors.Is(err, bachata.ErrUnavailable) {
						t.Fatalf("Put on a disk of which all is needed: %v, want ErrUnavailable", err)
					}
					time.Sleep(3 * time.Second)
				}
				for i := range accepted {
					pop(t, q, "bob", bachata.Key{ID: fmt.Sprint(i)})
				}
				time.Sleep(3 * time.Second)
				put(t, q, failureItem(accepted))
			})
		})
	}
}
