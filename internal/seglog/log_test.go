package seglog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

const (
	dir          = "/data/log"
	segmentBytes = 8 << 10
)

// entry is a record as a test knows it.
type entry struct {
	pos seglog.Pos
	rec []byte
}

func options(fsys vfs.FS) seglog.Options {
	return seglog.Options{FS: fsys, Dir: dir, SegmentBytes: segmentBytes}
}

// open opens the log and returns what it held.
func open(tb testing.TB, o seglog.Options) (*seglog.Log, []entry) {
	tb.Helper()
	l, entries, err := reopen(o)
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	return l, entries
}

func reopen(o seglog.Options) (*seglog.Log, []entry, error) {
	var entries []entry
	l, err := seglog.Open(o, func(pos seglog.Pos, rec []byte) error {
		entries = append(entries, entry{pos, bytes.Clone(rec)})
		return nil
	})
	return l, entries, err
}

// put appends a record and waits until it is safe.
func put(tb testing.TB, l *seglog.Log, rec []byte) entry {
	tb.Helper()
	pos, ticket, err := l.Append(rec, false)
	if err != nil {
		tb.Fatalf("Append: %v", err)
	}
	if err := l.Wait(context.Background(), ticket); err != nil {
		tb.Fatalf("Wait: %v", err)
	}
	return entry{pos, rec}
}

// record makes a record of n bytes or more that names itself.
func record(i, n int) []byte {
	rec := fmt.Appendf(nil, "record %d ", i)
	for len(rec) < n {
		rec = append(rec, byte('a'+i%26))
	}
	return rec
}

func closeLog(tb testing.TB, l *seglog.Log) {
	tb.Helper()
	if err := l.Close(); err != nil {
		tb.Fatalf("Close: %v", err)
	}
}

func wantEntries(tb testing.TB, got, want []entry) {
	tb.Helper()
	if len(got) != len(want) {
		tb.Fatalf("%d records are there, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i].pos != want[i].pos || !bytes.Equal(got[i].rec, want[i].rec) {
			tb.Fatalf("record %d is %q at %v, want %q at %v", i, got[i].rec, got[i].pos, want[i].rec, want[i].pos)
		}
	}
}

func TestOpenReplaysWhatWasAppended(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	var want []entry
	for range 3 {
		l, got := open(t, options(m))
		wantEntries(t, got, want)
		for i := range 100 {
			want = append(want, put(t, l, record(i, rand.IntN(700))))
		}
		for _, e := range want {
			rec, err := l.Read(e.pos, len(e.rec), nil)
			if err != nil || !bytes.Equal(rec, e.rec) {
				t.Fatalf("Read(%v) = %q, %v, want %q", e.pos, rec, err, e.rec)
			}
		}
		if err := l.Wait(t.Context(), 1); err != nil {
			t.Errorf("Wait for what was safe long ago: %v", err)
		}
		closeLog(t, l)
		closeLog(t, l)
	}
	report, err := seglog.Check(m, dir, nil)
	if err != nil || len(report.Damage) > 0 || report.Records != len(want) || !report.Clean {
		t.Errorf("Check = %+v, %v, want %d records and no damage", report, err, len(want))
	}
}

func TestRecordSizes(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	l, _ := open(t, options(m))
	var want []entry
	for _, n := range []int{0, 1, 7, 8, 9, l.MaxRecord() - 1, 0, l.MaxRecord(), l.MaxRecord(), 3} {
		want = append(want, put(t, l, bytes.Repeat([]byte{0xff}, n)))
	}
	if _, _, err := l.Append(make([]byte, l.MaxRecord()+1), true); !errors.Is(err, seglog.ErrTooLarge) {
		t.Errorf("Append of MaxRecord()+1 bytes: %v, want ErrTooLarge", err)
	}
	closeLog(t, l)
	_, got := open(t, options(m))
	wantEntries(t, got, want)
}

func TestAppendAllIsOneBatch(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	l, _ := open(t, options(m))
	var want []entry
	for range 20 {
		recs := [][]byte{record(1, 100), record(2, 900), record(3, 0), record(4, 500)}
		pos := make([]seglog.Pos, len(recs))
		ticket, err := l.AppendAll(recs, false, pos)
		if err != nil {
			t.Fatalf("AppendAll: %v", err)
		}
		if err := l.Wait(t.Context(), ticket); err != nil {
			t.Fatalf("Wait: %v", err)
		}
		for i, p := range pos {
			if p.Segment != pos[0].Segment {
				t.Fatalf("records of one call are in segments %d and %d", pos[0].Segment, p.Segment)
			}
			want = append(want, entry{p, recs[i]})
		}
	}
	if _, err := l.AppendAll([][]byte{make([]byte, segmentBytes/2), make([]byte, segmentBytes/2)}, false, nil); !errors.Is(err, seglog.ErrTooLarge) {
		t.Errorf("AppendAll of a whole segment: %v, want ErrTooLarge", err)
	}
	ticket, err := l.AppendAll(nil, false, nil)
	if err != nil || ticket != l.Synced() {
		t.Errorf("AppendAll(nil) = %d, %v, want %d", ticket, err, l.Synced())
	}
	closeLog(t, l)
	_, got := open(t, options(m))
	wantEntries(t, got, want)
}

func TestLock(t *testing.T) {
	t.Parallel()
	for name, fsys := range map[string]vfs.FS{"mem": vfs.NewMem(), "os": vfs.OS{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(fsys)
			if name == "os" {
				o.Dir = t.TempDir()
			}
			l, _ := open(t, o)
			put(t, l, []byte("x"))
			if _, _, err := reopen(o); !errors.Is(err, seglog.ErrLocked) {
				t.Errorf("second Open: %v, want ErrLocked", err)
			}
			if _, err := seglog.Check(fsys, o.Dir, nil); !errors.Is(err, seglog.ErrLocked) {
				t.Errorf("Check while open: %v, want ErrLocked", err)
			}
			closeLog(t, l)
			l, got := open(t, o)
			if len(got) != 1 {
				t.Errorf("%d records are there, want 1", len(got))
			}
			closeLog(t, l)
		})
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	l, _ := open(t, options(vfs.NewMem()))
	e := put(t, l, []byte("x"))
	closeLog(t, l)
	if _, _, err := l.Append(nil, true); !errors.Is(err, seglog.ErrClosed) {
		t.Errorf("Append: %v, want ErrClosed", err)
	}
	if _, err := l.Read(e.pos, 1, nil); !errors.Is(err, seglog.ErrClosed) {
		t.Errorf("Read: %v, want ErrClosed", err)
	}
	if err := l.Release(1); !errors.Is(err, seglog.ErrClosed) {
		t.Errorf("Release: %v, want ErrClosed", err)
	}
	if err := l.Err(); !errors.Is(err, seglog.ErrClosed) {
		t.Errorf("Err: %v, want ErrClosed", err)
	}
}

func TestReplayErrorEndsOpen(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	l, _ := open(t, options(m))
	put(t, l, []byte("x"))
	closeLog(t, l)
	stop := errors.New("stop")
	if _, err := seglog.Open(options(m), func(seglog.Pos, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Open: %v, want %v", err, stop)
	}
	open(t, options(m))
}

func TestCheckWithoutLog(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	if _, err := seglog.Check(m, dir, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Check of no directory: %v, want fs.ErrNotExist", err)
	}
	if err := m.MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := seglog.Check(m, dir, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Check of an empty directory: %v, want fs.ErrNotExist", err)
	}
}

func TestSegmentBytesLimits(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{-1, 1, 4095, 4097, 1 << 40} {
		o := options(vfs.NewMem())
		o.SegmentBytes = n
		if _, _, err := reopen(o); err == nil || !strings.Contains(err.Error(), "SegmentBytes") {
			t.Errorf("Open with SegmentBytes %d: %v, want an error that names it", n, err)
		}
	}
}

// testRand is for crashes in which nothing is left to chance.
func testRand() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }
