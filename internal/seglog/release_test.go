package seglog_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

func TestScan(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	l, _ := open(t, options(m))
	var want []entry
	for i := range 100 {
		want = append(want, put(t, l, record(i, 400)))
	}
	var got []entry
	for _, s := range l.Segments() {
		err := l.Scan(s.ID, func(pos seglog.Pos, rec []byte) error {
			got = append(got, entry{pos, bytes.Clone(rec)})
			return nil
		})
		if s.Sealed != (err == nil) || err != nil && !errors.Is(err, seglog.ErrNoSegment) {
			t.Errorf("Scan of segment %d, sealed %v: %v", s.ID, s.Sealed, err)
		}
	}
	if len(got) == 0 || got[len(got)-1].pos.Segment+1 != want[len(want)-1].pos.Segment {
		t.Fatalf("Scan of all sealed segments: %d records of %d", len(got), len(want))
	}
	wantEntries(t, got, want[:len(got)])
	stop := errors.New("stop")
	if err := l.Scan(1, func(seglog.Pos, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Scan: %v, want %v", err, stop)
	}
}

func TestRelease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := vfs.NewMem()
		l, _ := open(t, options(m))
		var want []entry
		for i := 0; len(l.Segments()) < 5; i++ {
			want = append(want, put(t, l, record(i, 400)))
		}
		synctest.Wait()
		for _, id := range []uint32{0, 2, 5, 6} {
			if err := l.Release(id); !errors.Is(err, seglog.ErrNoSegment) {
				t.Errorf("Release(%d): %v, want ErrNoSegment", id, err)
			}
		}
		// There is a spare by now, so these are removed.
		for id := uint32(1); id <= 4; id++ {
			if err := l.Release(id); err != nil {
				t.Fatalf("Release(%d): %v", id, err)
			}
			if _, err := l.Read(want[0].pos, len(want[0].rec), nil); !errors.Is(err, seglog.ErrNoSegment) {
				t.Errorf("Read of a released record: %v, want ErrNoSegment", err)
			}
			for want[0].pos.Segment == id {
				want = want[1:]
			}
		}
		if err := l.Release(5); !errors.Is(err, seglog.ErrNoSegment) {
			t.Errorf("Release of the active segment: %v, want ErrNoSegment", err)
		}
		names, err := m.List(dir)
		if err != nil || len(names) != 4 {
			t.Errorf("%q are there (%v), want the store, the lock, the active segment and a spare", names, err)
		}
		closeLog(t, l)
		l, got := open(t, options(m))
		wantEntries(t, got, want)
		closeLog(t, l)
	})
}

// TestRecycle takes the power away from a log in files that held other records before, at any byte of theirs.
func TestRecycle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := vfs.NewMem()
		o := options(m)
		o.SegmentBytes = 4 << 10
		l, _ := open(t, o)
		m.SetCapacity(4*o.SegmentBytes + 500) // so that there is no spare but those that are released
		rng := rand.New(rand.NewPCG(5, 5))
		var want []entry
		var recycled uint32
		m.OnOp(func(op vfs.Op) error {
			if op.Kind == vfs.OpRename && strings.HasSuffix(op.Name, ".seg") {
				recycled++
			}
			return nil
		})
		for i := range 400 {
			rec := record(i, rng.IntN(400))
			pos, ticket, err := l.Append(rec, true)
			if err == nil {
				err = l.Wait(t.Context(), ticket)
			}
			if err != nil {
				t.Fatalf("Append: %v", err)
			}
			want = append(want, entry{pos, rec})
			synctest.Wait()
			if s := l.Segments(); len(s) > 3 {
				if err := l.Release(s[0].ID); err != nil {
					t.Fatalf("Release: %v", err)
				}
				for want[0].pos.Segment == s[0].ID {
					want = want[1:]
				}
			}
			o.FS = m.Crash(rng)
			after, got, err := reopen(o)
			if err != nil {
				t.Fatalf("Open after a crash: %v", err)
			}
			wantEntries(t, got, want)
			closeLog(t, after)
		}
		if n := want[len(want)-1].pos.Segment; recycled < n/2 {
			t.Errorf("%d of %d segments are recycled, want most of them", recycled, n)
		}
		closeLog(t, l)
	})
}

// TestReadWhileReleasing wants a read of what is being released to fail or to be right.
func TestReadWhileReleasing(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	l, _ := open(t, options(m))
	var wg sync.WaitGroup
	entries := make(chan entry, 1000)
	for range 2 {
		wg.Go(func() {
			var buf []byte
			for e := range entries {
				rec, err := l.Read(e.pos, len(e.rec), buf)
				switch {
				case errors.Is(err, seglog.ErrNoSegment):
				case err != nil:
					t.Errorf("Read(%v): %v", e.pos, err)
				case !bytes.Equal(rec, e.rec):
					t.Errorf("Read(%v) = %q, want %q", e.pos, rec, e.rec)
				default:
					buf = rec
				}
			}
		})
	}
	for i := range 2000 {
		entries <- put(t, l, record(i, 200))
		if s := l.Segments(); len(s) > 1 && s[0].Sealed {
			if err := l.Release(s[0].ID); err != nil {
				t.Errorf("Release: %v", err)
			}
		}
	}
	close(entries)
	wg.Wait()
}

// TestSegmentBytesMayChange opens a log with other sizes than it was made with.
func TestSegmentBytesMayChange(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	var want []entry
	for i, size := range []int64{8 << 10, 4 << 10, 16 << 10, 16 << 10, 4 << 10} {
		o := options(m)
		o.SegmentBytes = size
		l, got := open(t, o)
		wantEntries(t, got, want)
		want = append(want, put(t, l, make([]byte, l.MaxRecord())))
		for range 60 {
			want = append(want, put(t, l, record(i, 300)))
		}
		for len(l.Segments()) > 8 {
			id := l.Segments()[0].ID
			if err := l.Release(id); err != nil {
				t.Fatalf("Release: %v", err)
			}
			for want[0].pos.Segment == id {
				want = want[1:]
			}
		}
		closeLog(t, l)
	}
}
