package seglog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

// history is what a workload knows of a log, over all its lives.
type history struct {
	entries []appended // in order; those before a release are gone
	safe    int        // of entries: Wait has confirmed them
	// Of segments: below released they are gone for certain; up to releasing a Release was under way.
	released, releasing uint32
	count               int
}

// appended is an entry and what it was appended with.
type appended struct {
	entry
	group int
}

// workload appends, waits, releases and closes until something fails or it has done enough.
func (h *history) workload(o seglog.Options, rng *rand.Rand, steps int) error {
	l, entries, err := reopen(o)
	if err != nil {
		return err
	}
	h.rebase(entries)
	err = h.steps(l, rng, steps)
	return errors.Join(err, l.Close())
}

func (h *history) steps(l *seglog.Log, rng *rand.Rand, steps int) error {
	for range steps {
		var ticket seglog.Ticket
		var err error
		switch n := rng.IntN(8); {
		case n < 3:
			ticket, err = h.append(l, record(h.count, rng.IntN(300)))
		case n < 5:
			for range 1 + rng.IntN(6) {
				if ticket, err = h.append(l, record(h.count, rng.IntN(300))); err != nil {
					break
				}
			}
		case n < 7:
			ticket, err = h.appendAll(l, rng)
		default:
			ticket, err = l.Synced(), h.release(l)
		}
		if err != nil {
			return err
		}
		if err := l.Wait(context.Background(), ticket); err != nil {
			return err
		}
		h.safe = len(h.entries)
	}
	return nil
}

func (h *history) append(l *seglog.Log, rec []byte) (seglog.Ticket, error) {
	h.count++
	pos, ticket, err := l.Append(rec, false)
	if err == nil {
		h.entries = append(h.entries, appended{entry{pos, rec}, h.count})
	}
	return ticket, err
}

func (h *history) appendAll(l *seglog.Log, rng *rand.Rand) (seglog.Ticket, error) {
	h.count++
	recs := make([][]byte, 1+rng.IntN(8))
	for i := range recs {
		recs[i] = record(h.count, rng.IntN(300))
	}
	pos := make([]seglog.Pos, len(recs))
	ticket, err := l.AppendAll(recs, false, pos)
	if err == nil {
		for i, rec := range recs {
			h.entries = append(h.entries, appended{entry{pos[i], rec}, h.count})
		}
	}
	return ticket, err
}

func (h *history) release(l *seglog.Log) error {
	segments := l.Segments()
	if len(segments) < 3 || !segments[0].Sealed {
		return nil
	}
	h.releasing = segments[0].ID
	if err := l.Release(segments[0].ID); err != nil {
		return err
	}
	h.released = segments[0].ID
	return nil
}

// check compares what a log holds with the history.
func (h *history) check(got []entry) error {
	from := 0
	for len(got) > 0 && from < len(h.entries) && h.entries[from].pos != got[0].pos {
		from++
	}
	for i, e := range h.entries[:from] {
		if e.pos.Segment > h.releasing {
			return fmt.Errorf("record %d at %v is missing at the start", i, e.pos)
		}
	}
	if len(got) > 0 && got[0].pos.Segment <= h.released {
		return fmt.Errorf("the record at %v was released", got[0].pos)
	}
	for i, e := range got {
		if from+i >= len(h.entries) {
			return fmt.Errorf("the record at %v was never appended", e.pos)
		}
		if want := h.entries[from+i]; want.pos != e.pos || !bytes.Equal(want.rec, e.rec) {
			return fmt.Errorf("record %d is %q at %v, want %q at %v", from+i, e.rec, e.pos, want.rec, want.pos)
		}
	}
	end := from + len(got)
	for i := end; i < h.safe; i++ {
		if h.entries[i].pos.Segment > h.releasing {
			return fmt.Errorf("record %d at %v was safe and is missing", i, h.entries[i].pos)
		}
	}
	if len(got) > 0 && end < len(h.entries) && h.entries[end-1].group == h.entries[end].group {
		return fmt.Errorf("a batch was recovered in part, up to record %d", end)
	}
	return nil
}

// rebase goes on from what a log holds: what was not confirmed and is not there never will be.
func (h *history) rebase(got []entry) {
	groups := map[seglog.Pos]int{}
	for _, e := range h.entries {
		groups[e.pos] = e.group
	}
	h.entries = h.entries[:0:0]
	for _, e := range got {
		h.entries = append(h.entries, appended{e, groups[e.pos]})
	}
	h.safe = len(h.entries)
}

var errDead = errors.New("the host is down")

// dieAt lets the host go down at an operation: half a write may still be done, nothing after it is.
func dieAt(m *vfs.Mem, k int) {
	first := m.Ops() + k
	m.OnOp(func(op vfs.Op) error {
		if op.Index == first && op.Kind == vfs.OpWrite && k%2 == 1 {
			return &vfs.ShortWrite{Bytes: op.Bytes / 2, Err: errDead}
		}
		if op.Index >= first {
			return errDead
		}
		return nil
	})
}

// TestCrash has the power fail at every operation, and then a few more times in the life after that.
func TestCrash(t *testing.T) {
	t.Parallel()
	const seeds = 4
	for k := 0; ; k++ {
		died := false
		for seed := range uint64(seeds) {
			rng := rand.New(rand.NewPCG(uint64(k), seed))
			died = crashLives(t, rng, k) || died
			if t.Failed() {
				t.Fatalf("crash at operation %d, seed %d", k, seed)
			}
		}
		if !died {
			t.Logf("%d operations, %d seeds", k, seeds)
			return
		}
	}
}

// crashLives runs several lives of a log, the first up to operation k. It returns false if that was past its end.
func crashLives(t *testing.T, rng *rand.Rand, k int) bool {
	t.Helper()
	m, h := vfs.NewMem(), &history{}
	o := options(m)
	o.SegmentBytes = 4 << 10
	died := false
	for life := range 4 {
		steps := 12
		if life == 0 {
			steps = 30
		} else {
			k = rng.IntN(60)
		}
		m.SetDirect(rng.IntN(2) == 0)
		dieAt(m, k)
		err := h.workload(o, rng, steps)
		if err != nil && !errors.Is(err, errDead) {
			t.Errorf("life %d: %v", life, err)
			return true
		}
		died = died || life == 0 && err != nil
		// A process that was killed leaves the host with what it wrote; a power cut without.
		if rng.IntN(3) == 0 {
			m.OnOp(nil)
		} else {
			m = m.Crash(rng)
		}
		if rng.IntN(2) == 0 {
			checkCrashed(t, m, h)
		}
		o.FS = m
		if h = reopenCrashed(t, o, h); t.Failed() {
			t.Errorf("life %d", life)
			return true
		}
		// What was replayed is acted on, so it must survive whatever comes next.
		m = m.Crash(rng)
		o.FS = m
	}
	return died
}

func reopenCrashed(t *testing.T, o seglog.Options, h *history) *history {
	t.Helper()
	l, got, err := reopen(o)
	if err != nil {
		t.Errorf("Open after a crash: %v", err)
		return h
	}
	if err := h.check(got); err != nil {
		t.Errorf("after a crash: %v", err)
	}
	for _, e := range got {
		if rec, err := l.Read(e.pos, len(e.rec), nil); err != nil || !bytes.Equal(rec, e.rec) {
			t.Errorf("Read(%v) = %q, %v", e.pos, rec, err)
		}
	}
	h.rebase(got)
	// The life ends without a Close that anybody waits for.
	o.FS.(*vfs.Mem).OnOp(func(vfs.Op) error { return errDead })
	_ = l.Close()
	o.FS.(*vfs.Mem).OnOp(nil)
	return h
}

// checkCrashed wants Check to find nothing wrong with what a crash left, and to change nothing.
func checkCrashed(t *testing.T, m *vfs.Mem, h *history) {
	t.Helper()
	ops := m.Ops()
	var got []entry
	report, err := seglog.Check(m, dir, func(pos seglog.Pos, rec []byte) error {
		got = append(got, entry{pos, bytes.Clone(rec)})
		return nil
	})
	if err != nil {
		if h.safe > 0 {
			t.Errorf("Check after a crash: %v", err)
		}
		return
	}
	if len(report.Damage) > 0 {
		t.Errorf("Check after a crash: %v", report.Damage[0])
	}
	if err := h.check(got); err != nil {
		t.Errorf("Check after a crash: %v", err)
	}
	if m.Ops() != ops {
		t.Error("Check changed something")
	}
}

// TestCrashWithAppenders has the power fail while several appenders share batches.
func TestCrashWithAppenders(t *testing.T) {
	t.Parallel()
	const appenders = 6
	for k := range 150 {
		rng := rand.New(rand.NewPCG(uint64(k), 7))
		m := vfs.NewMem()
		o := options(m)
		o.SegmentBytes = 4 << 10
		m.SetDirect(k%2 == 0)
		dieAt(m, k)
		var safe [appenders]int
		if l, _, err := reopen(o); err == nil {
			var wg sync.WaitGroup
			for a := range appenders {
				wg.Go(func() {
					for i := range 20 {
						_, ticket, err := l.Append([]byte{byte(a), byte(i), 150: 0}, false)
						if err != nil || l.Wait(context.Background(), ticket) != nil {
							return
						}
						safe[a] = i + 1
					}
				})
			}
			wg.Wait()
			_ = l.Close()
		}
		o.FS = m.Crash(rng)
		l, got, err := reopen(o)
		if err != nil {
			t.Fatalf("Open after a crash at operation %d: %v", k, err)
		}
		var next [appenders]int
		for _, e := range got {
			a, i := e.rec[0], int(e.rec[1])
			if next[a] != i {
				t.Fatalf("crash at operation %d: record %d of appender %d where %d is due", k, i, a, next[a])
			}
			next[a]++
		}
		for a := range appenders {
			if next[a] < safe[a] {
				t.Fatalf("crash at operation %d: %d records of appender %d, %d were safe", k, next[a], a, safe[a])
			}
		}
		closeLog(t, l)
	}
}
