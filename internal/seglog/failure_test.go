package seglog_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

// TestFailedSync has each sync and each write fail once, in a process that lives on.
func TestFailedSync(t *testing.T) {
	t.Parallel()
	for _, direct := range []bool{true, false} {
		t.Run(fmt.Sprintf("direct=%t", direct), func(t *testing.T) { testFailedSync(t, direct) })
	}
}

func testFailedSync(t *testing.T, direct bool) {
	for k := 0; ; k++ {
		rng := rand.New(rand.NewPCG(uint64(k), 99))
		m, h := vfs.NewMem(), &history{}
		m.SetDirect(direct)
		o := options(m)
		o.SegmentBytes = 4 << 10
		failed := false
		m.OnOp(func(op vfs.Op) error {
			if op.Index != k {
				return nil
			}
			failed = true
			if op.Kind == vfs.OpWrite && k%2 == 0 {
				return &vfs.ShortWrite{Bytes: op.Bytes / 3, Err: syscall.EIO}
			}
			return syscall.EIO
		})
		err := h.workload(o, rng, 30)
		if err != nil && !errors.Is(err, syscall.EIO) {
			t.Fatalf("failure of operation %d: %v", k, err)
		}
		if !failed {
			return
		}
		m.OnOp(nil)
		if h = reopenCrashed(t, o, h); t.Failed() {
			t.Fatalf("failure of operation %d", k)
		}
		if k%2 == 0 {
			if err := h.workload(o, rng, 1); err != nil {
				t.Fatalf("failure of operation %d, then work: %v", k, err)
			}
		}
		for range 2 {
			m = m.Crash(rng)
			o.FS = m
			if h = reopenCrashed(t, o, h); t.Failed() {
				t.Fatalf("failure of operation %d, then a crash", k)
			}
			if err := h.workload(o, rng, 4); err != nil {
				t.Fatalf("failure of operation %d, then work: %v", k, err)
			}
		}
	}
}

// TestSpareOfKilledProcess has a process killed before the name of its spare is safe, and the power fail when the next
// process has gone on to that spare without changing another name.
func TestSpareOfKilledProcess(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	killed := make(chan struct{})
	m.OnOp(func(op vfs.Op) error {
		if op.Kind == vfs.OpSyncDir && exists(m, "0000000002.seg") {
			close(killed)
			return errDead
		}
		return nil
	})
	l, _ := open(t, options(m))
	<-killed
	_ = l.Close()
	m.OnOp(func(op vfs.Op) error {
		if op.Kind == vfs.OpCreate {
			return syscall.EMFILE
		}
		return nil
	})
	l, _ = open(t, options(m))
	var want []entry
	for i := 0; len(l.Segments()) < 2; i++ {
		rec := record(i, 500)
		pos, ticket, err := l.Append(rec, true)
		if err == nil {
			err = l.Wait(t.Context(), ticket)
		}
		if err != nil {
			t.Fatalf("Append: %v", err)
		}
		want = append(want, entry{pos, rec})
	}
	for seed := range uint64(20) {
		_, got := open(t, options(m.Crash(rand.New(rand.NewPCG(seed, 0)))))
		wantEntries(t, got, want)
	}
}

func exists(m *vfs.Mem, name string) bool {
	names, err := m.List(dir)
	return err == nil && slices.Contains(names, name)
}

// TestFailureIsFinal wants nothing to be written or promised after an error, although the disk works again.
func TestFailureIsFinal(t *testing.T) {
	t.Parallel()
	for _, kind := range []vfs.OpKind{vfs.OpWrite, vfs.OpSync} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			m := vfs.NewMem()
			l, _ := open(t, options(m))
			first := put(t, l, []byte("first"))
			m.OnOp(func(op vfs.Op) error {
				if op.Kind == kind && op.Name == dir+"/0000000001.seg" {
					return syscall.EIO
				}
				return nil
			})
			_, ticket, err := l.Append([]byte("second"), false)
			if err != nil {
				t.Fatalf("Append: %v", err)
			}
			for range 2 {
				if err := l.Wait(t.Context(), ticket); !errors.Is(err, seglog.ErrFailed) || !errors.Is(err, syscall.EIO) {
					t.Errorf("Wait: %v, want ErrFailed and the cause", err)
				}
			}
			m.OnOp(nil)
			if _, _, err := l.Append([]byte("third"), true); !errors.Is(err, seglog.ErrFailed) {
				t.Errorf("Append: %v, want ErrFailed", err)
			}
			if err := l.Err(); !errors.Is(err, seglog.ErrFailed) {
				t.Errorf("Err: %v, want ErrFailed", err)
			}
			if l.Synced() >= ticket {
				t.Errorf("Synced() = %d, want less than %d", l.Synced(), ticket)
			}
			if rec, err := l.Read(first.pos, len(first.rec), nil); err != nil || string(rec) != "first" {
				t.Errorf("Read of what is safe = %q, %v", rec, err)
			}
			if err := l.Close(); !errors.Is(err, seglog.ErrFailed) {
				t.Errorf("Close: %v, want ErrFailed", err)
			}
		})
	}
}
