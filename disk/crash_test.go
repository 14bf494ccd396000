package disk_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

// phase says how far a message of the workload has come, as its sender and receiver know.
type phase uint8

const (
	putting   phase = iota // Put has not returned
	stored                 // Put has returned
	popping                // PopDelivered has not returned
	delivered              // PopDelivered has returned
	telling                // the receipt is being taken
	told                   // the receipt was taken
)

// workload is messages from anna to bob, in the order in which they were put.
type workload struct {
	mu     sync.Mutex
	phases []phase
}

func (w *workload) set(i int, p phase) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i == len(w.phases) {
		w.phases = append(w.phases, p)
		return
	}
	w.phases[i] = p
}

func crashItem(i int) bachata.Item {
	return bachata.Item{
		Channels: []string{"bob"}, ID: bachata.StringID(fmt.Sprint(i)), Origin: "anna", From: "anna", Dest: "bob",
		Payload: []byte(strings.Repeat(fmt.Sprint(i, " "), 400)),
	}
}

// run puts, pops, takes receipts and gives segments back, seeded.
func (w *workload) run(t *testing.T, q *disk.Queue, rng *rand.Rand, steps int) {
	ctx := context.Background()
	pop := func(channel string, key bachata.Key) bool {
		popped, err := q.PopDelivered(ctx, channel, channel, []bachata.Key{key})
		if err != nil {
			t.Fatal(err)
		}
		return popped[0].Found
	}
	var waiting, receipts []int // messages in bob's inbox, receipts in anna's
	for range steps {
		switch n := rng.IntN(10); {
		case n < 5:
			i := len(w.phases)
			w.set(i, putting)
			if r, err := q.Put(ctx, []bachata.Item{crashItem(i)}); err != nil || r[0][0] != bachata.Stored {
				t.Fatal(r, err)
			}
			w.set(i, stored)
			waiting = append(waiting, i)
		case n < 8 && len(waiting) > 0:
			at := rng.IntN(len(waiting))
			i := waiting[at]
			waiting = append(waiting[:at], waiting[at+1:]...)
			w.set(i, popping)
			if !pop("bob", bachata.Key{ID: fmt.Sprint(i)}) {
				t.Fatalf("message %d is not there", i)
			}
			w.set(i, delivered)
			receipts = append(receipts, i)
		case n < 9 && len(receipts) > 0:
			first, err := q.Fetch(ctx, "anna", 0, bachata.Limit{Messages: 1})
			if err != nil || len(first) != 1 || first[0].ID.Text != fmt.Sprint(receipts[0]) {
				t.Fatal("oldest receipt:", first, err, "want", receipts[0])
			}
			w.set(receipts[0], telling)
			if !pop("anna", bachata.Key{Cursor: first[0].Cursor}) {
				t.Fatal("receipt is not there")
			}
			w.set(receipts[0], told)
			receipts = receipts[1:]
		default:
			if _, err := q.ReclaimOldest(); err != nil && !errors.Is(err, seglog.ErrNoSegment) {
				t.Fatal(err)
			}
		}
	}
}

// verify holds what is left after a crash to what was promised before it.
func verify(q *disk.Queue, before []phase) error {
	ctx := context.Background()
	count := func(channel string, last int) (map[string]int, error) {
		list, err := q.Fetch(ctx, channel, 0, bachata.Limit{})
		all := map[string]int{}
		for _, e := range list {
			all[e.ID.Text]++
			if n := 0; e.Kind == bachata.KindMessage {
				if fmt.Sscan(e.ID.Text, &n); n < last || string(e.Payload) != string(crashItem(n).Payload) {
					return nil, fmt.Errorf("message %d stands after %d, or is not what was put", n, last)
				}
				last = n
			}
		}
		return all, err
	}
	messages, err := count("bob", -1)
	if err != nil {
		return err
	}
	receipts, err := count("anna", -1)
	if err != nil {
		return err
	}
	for i, p := range before {
		m, r := messages[fmt.Sprint(i)], receipts[fmt.Sprint(i)]
		ok := false
		switch p {
		case putting:
			ok = m <= 1 && r == 0
		case stored:
			ok = m == 1 && r == 0
		case popping:
			ok = m+r == 1
		case delivered:
			ok = m == 0 && r == 1
		case telling:
			ok = m == 0 && r <= 1
		case told:
			ok = m == 0 && r == 0
		}
		if !ok {
			return fmt.Errorf("message %d was in phase %d, there are %d of it and %d receipts", i, p, m, r)
		}
		if p != putting {
			again, err := q.Put(ctx, []bachata.Item{crashItem(i)})
			if err != nil || again[0][0] != bachata.Duplicate {
				return fmt.Errorf("message %d again: %v, %v, want duplicate", i, again, err)
			}
		}
	}
	return nil
}

// TestCrashEverywhere cuts the power before every operation on the disk, and holds what Open finds to what was
// promised by then.
func TestCrashEverywhere(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 3))
			w := &workload{}
			type cut struct {
				op     vfs.Op
				disk   *vfs.Mem
				before []phase
			}
			var mu sync.Mutex
			var cuts []cut
			cutting := rand.New(rand.NewPCG(seed, 4))
			mem := vfs.NewMem()
			mem.SetDirect(rng.IntN(2) == 0)
			o := &disk.Options{SegmentBytes: 64 << 10, FS: mem}
			mem.OnOp(func(op vfs.Op) error {
				mu.Lock()
				defer mu.Unlock()
				w.mu.Lock() // nothing is promised while the disk is looked at
				defer w.mu.Unlock()
				cuts = append(cuts, cut{op, mem.Crash(cutting), append([]phase(nil), w.phases...)})
				return nil
			})
			q, err := disk.Open("q", o)
			if err != nil {
				t.Fatal(err)
			}
			w.run(t, q, rng, 250)
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
			mem.OnOp(nil)
			if len(cuts) < 300 {
				t.Errorf("power was cut %d times, want more", len(cuts))
			}
			for i, c := range cuts {
				q, err := disk.Open("q", &disk.Options{SegmentBytes: 64 << 10, FS: c.disk})
				if err != nil {
					t.Fatalf("cut %d before %v: %v", i, c.op, err)
				}
				if err := verify(q, c.before); err != nil {
					t.Errorf("cut %d before %v: %v", i, c.op, err)
				}
				if err := q.Close(); err != nil {
					t.Fatal(err)
				}
				if r, err := disk.CheckIn(c.disk, "q"); err != nil || len(r.Damage) > 0 || !r.Clean {
					t.Errorf("cut %d before %v: Check found %+v, %v", i, c.op, r, err)
				}
			}
		})
	}
}
