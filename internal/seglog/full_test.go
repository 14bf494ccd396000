package seglog_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

// fill appends until the log refuses, and returns what is safe and the refusal.
func fill(tb testing.TB, l *seglog.Log, urgent bool) ([]entry, error) {
	tb.Helper()
	var entries []entry
	for i := range 10_000 {
		rec := record(i, 100)
		pos, ticket, err := l.Append(rec, urgent)
		if err != nil {
			return entries, err
		}
		if err := l.Wait(tb.Context(), ticket); err != nil {
			tb.Fatalf("Wait: %v", err)
		}
		entries = append(entries, entry{pos, rec})
	}
	tb.Fatal("the log is never full")
	return nil, nil
}

// limited makes a log on a disk that has room for so many segments.
func limited(tb testing.TB, segments int64) (*vfs.Mem, *seglog.Log) {
	tb.Helper()
	m := vfs.NewMem()
	m.SetCapacity(segments*segmentBytes + 1000)
	l, _ := open(tb, options(m))
	return m, l
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	m, l := limited(t, 3)
	want, err := fill(t, l, false)
	if !errors.Is(err, seglog.ErrFull) || !errors.Is(err, syscall.ENOSPC) || errors.Is(err, seglog.ErrFailed) {
		t.Fatalf("Append on a full disk: %v, want ErrFull and the cause", err)
	}
	if err := l.Err(); !errors.Is(err, seglog.ErrFull) {
		t.Errorf("Err: %v, want ErrFull", err)
	}
	// A quarter of a segment is kept for what is urgent.
	urgent, err := fill(t, l, true)
	if !errors.Is(err, seglog.ErrFull) {
		t.Errorf("urgent Append on a full disk: %v, want ErrFull", err)
	}
	size := 0
	for _, e := range urgent {
		size += len(e.rec)
	}
	if size < segmentBytes/4*2/3 {
		t.Errorf("%d bytes of urgent records were taken, want about %d", size, segmentBytes/4)
	}
	want = append(want, urgent...)
	closeLog(t, l)

	l, got := open(t, options(m))
	wantEntries(t, got, want)
	if _, err := fill(t, l, false); !errors.Is(err, seglog.ErrFull) {
		t.Errorf("Append after Open on a full disk: %v, want ErrFull", err)
	}
	oldest := l.Segments()[0]
	if err := l.Release(oldest.ID); err != nil {
		t.Fatalf("Release: %v", err)
	}
	if err := l.Err(); err != nil {
		t.Errorf("Err after Release: %v, want nil", err)
	}
	for want[0].pos.Segment == oldest.ID {
		want = want[1:]
	}
	more, err := fill(t, l, false)
	if len(more) < 30 || !errors.Is(err, seglog.ErrFull) {
		t.Errorf("%d records after Release, then %v", len(more), err)
	}
	closeLog(t, l)
	if report, _ := check(t, m); len(report.Damage) > 0 || !report.Clean {
		t.Errorf("Check: %+v", report)
	}
	_, got = open(t, options(m))
	wantEntries(t, got, append(want, more...))
}

// TestFullDiskClears makes room elsewhere: the log finds out by itself.
func TestFullDiskClears(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, l := limited(t, 2)
		if _, err := fill(t, l, false); !errors.Is(err, seglog.ErrFull) {
			t.Fatalf("Append: %v, want ErrFull", err)
		}
		m.SetCapacity(0)
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if err := l.Err(); err != nil {
			t.Errorf("Err with room again: %v", err)
		}
		put(t, l, []byte("x"))
		closeLog(t, l)
	})
}

// TestTooManyOpenFiles is a way to have no next segment that says nothing of the disk.
func TestTooManyOpenFiles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := vfs.NewMem()
		l, _ := open(t, options(m))
		synctest.Wait()
		m.OnOp(func(op vfs.Op) error {
			if op.Kind == vfs.OpCreate {
				return syscall.EMFILE
			}
			return nil
		})
		if _, err := fill(t, l, false); !errors.Is(err, seglog.ErrFull) || !errors.Is(err, syscall.EMFILE) {
			t.Fatalf("Append: %v, want ErrFull and the cause", err)
		}
		m.OnOp(nil)
		time.Sleep(1100 * time.Millisecond)
		put(t, l, []byte("x"))
		closeLog(t, l)
	})
}

// TestBrokenPreparation wants an error other than a full disk to stop the log.
func TestBrokenPreparation(t *testing.T) {
	t.Parallel()
	for _, kind := range []vfs.OpKind{vfs.OpWrite, vfs.OpSync, vfs.OpRename, vfs.OpSyncDir} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := vfs.NewMem()
				l, _ := open(t, options(m))
				synctest.Wait()
				m.OnOp(func(op vfs.Op) error {
					if op.Kind == kind && (kind == vfs.OpSyncDir || strings.HasSuffix(op.Name, ".tmp")) {
						return syscall.EIO
					}
					return nil
				})
				for range 2 {
					if _, _, err := l.Append(make([]byte, l.MaxRecord()), false); err != nil {
						break
					}
				}
				synctest.Wait()
				if err := l.Err(); !errors.Is(err, seglog.ErrFailed) || !errors.Is(err, syscall.EIO) {
					t.Errorf("Err: %v, want ErrFailed and the cause", err)
				}
				if err := l.Close(); !errors.Is(err, seglog.ErrFailed) {
					t.Errorf("Close: %v, want ErrFailed", err)
				}
			})
		})
	}
}

// TestFullDiskAtWrite is a disk that has no room for what it had promised room for, as one that copies on write may.
func TestFullDiskAtWrite(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	l, _ := open(t, options(m))
	want := []entry{put(t, l, []byte("first"))}
	m.OnOp(func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite && strings.HasSuffix(op.Name, ".seg") {
			return &vfs.ShortWrite{Bytes: 20, Err: syscall.ENOSPC}
		}
		return nil
	})
	_, ticket, err := l.Append([]byte("second"), false)
	if err != nil {
		t.Fatalf("Append: %v", err)
	}
	if err := l.Wait(t.Context(), ticket); !errors.Is(err, seglog.ErrFull) || !errors.Is(err, seglog.ErrFailed) {
		t.Errorf("Wait: %v, want ErrFull and ErrFailed", err)
	}
	_ = l.Close()
	m.OnOp(nil)
	_, got := open(t, options(m))
	wantEntries(t, got, want)
}

// TestFullForLargeRecords wants Err to agree with Append: what was refused once is not well.
func TestFullForLargeRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, l := limited(t, 1)
		synctest.Wait()
		if err := l.Err(); err != nil {
			t.Errorf("Err with most of a segment left: %v", err)
		}
		if _, _, err := l.Append(make([]byte, l.MaxRecord()), false); !errors.Is(err, seglog.ErrFull) {
			t.Errorf("Append: %v, want ErrFull", err)
		}
		if err := l.Err(); !errors.Is(err, seglog.ErrFull) {
			t.Errorf("Err after a refusal: %v, want ErrFull", err)
		}
		put(t, l, []byte("small"))
		closeLog(t, l)
	})
}

func TestOpenOnFullDisk(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	m.SetCapacity(segmentBytes / 2)
	if _, _, err := reopen(options(m)); !errors.Is(err, seglog.ErrFull) {
		t.Errorf("Open: %v, want ErrFull", err)
	}
	m.SetCapacity(0)
	l, _ := open(t, options(m))
	put(t, l, []byte("x"))
}

// TestReserveWhilePreparing wants what isn't urgent to leave the reserve alone while it isn't known yet whether there
// will be a next segment, and everybody to go on once there is.
func TestReserveWhilePreparing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := vfs.NewMem()
		prepare := make(chan struct{})
		m.OnOp(func(op vfs.Op) error {
			if op.Kind == vfs.OpRename && strings.HasSuffix(op.To, "2.seg") {
				<-prepare
			}
			return nil
		})
		l, _ := open(t, options(m))
		taken := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				if _, _, err := l.Append(record(taken, 100), false); err != nil {
					t.Errorf("Append: %v", err)
					return
				}
				taken++
			}
		}()
		synctest.Wait()
		if used := l.Segments()[0].Bytes; used > segmentBytes*3/4 || used < segmentBytes/2 {
			t.Errorf("%d bytes of %d are used, want the last quarter left alone", used, segmentBytes)
		}
		if _, _, err := l.Append(record(0, 100), true); err != nil {
			t.Errorf("urgent Append: %v", err)
		}
		close(prepare)
		<-done
		if taken != 100 {
			t.Errorf("%d records were taken, want 100", taken)
		}
		closeLog(t, l)
	})
}

// TestBackpressure has the writer stuck: Append waits before too much has piled up, and Close ends that.
func TestBackpressure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := vfs.NewMem()
		o := options(m)
		o.SegmentBytes = 4 << 10
		l, _ := open(t, o)
		stuck := make(chan struct{})
		m.OnOp(func(op vfs.Op) error {
			if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, ".seg") {
				<-stuck
			}
			return nil
		})
		var tickets []seglog.Ticket
		done := make(chan error)
		go func() {
			for {
				_, ticket, err := l.Append(make([]byte, l.MaxRecord()), false)
				if err != nil {
					done <- err
					return
				}
				tickets = append(tickets, ticket)
			}
		}()
		synctest.Wait()
		if len(tickets) < 8 || len(tickets) > 40 {
			t.Errorf("%d batches wait for the writer, want some, and not too many", len(tickets))
		}
		closed := make(chan error)
		go func() { closed <- l.Close() }()
		if err := <-done; !errors.Is(err, seglog.ErrClosed) {
			t.Errorf("Append: %v, want ErrClosed", err)
		}
		close(stuck)
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		for _, ticket := range tickets {
			if err := l.Wait(t.Context(), ticket); err != nil {
				t.Errorf("Wait(%d): %v", ticket, err)
			}
		}
		l, got, err := reopen(o)
		if err != nil || len(got) != len(tickets) {
			t.Fatalf("Open: %v, %d records, want %d", err, len(got), len(tickets))
		}
		closeLog(t, l)
	})
}
