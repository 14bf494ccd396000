package seglog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

// directFS counts what is written past the cache, and fails as a test wants.
type directFS struct {
	vfs.FS
	opened, written, willRead atomic.Int64 // the last two in bytes
	openErr, writeErr         error
}

func (f *directFS) OpenDirect(name string) (vfs.DirectFile, error) {
	by, ok := f.FS.(vfs.Directs)
	switch f.opened.Add(1); {
	case f.openErr != nil:
		return nil, f.openErr
	case !ok: // not this system
		return nil, errors.ErrUnsupported
	}
	file, err := by.OpenDirect(name)
	return directFile{file, f}, err
}

type directFile struct {
	vfs.DirectFile
	fs *directFS
}

func (f directFile) WriteAt(p []byte, offset int64) (int, error) {
	if f.fs.writeErr != nil {
		return 0, f.fs.writeErr
	}
	f.fs.written.Add(int64(len(p)))
	return f.DirectFile.WriteAt(p, offset)
}

func (f directFile) WillRead(offset, n int64) {
	f.fs.willRead.Add(n)
	f.DirectFile.WillRead(offset, n)
}

// TestTail reads records of all sizes while the log grows, from memory and from the file, and after it was opened again.
func TestTail(t *testing.T) {
	t.Parallel()
	t.Run("in memory", func(t *testing.T) { testTail(t, vfs.NewMem(), "/log") })
	t.Run("on disk", func(t *testing.T) { testTail(t, vfs.OS{}, filepath.Join(t.TempDir(), "log")) })
}

func testTail(t *testing.T, below vfs.FS, dir string) {
	counted := &directFS{FS: below}
	o := seglog.Options{FS: counted, Dir: dir, SegmentBytes: 3 << 20}
	rng := rand.New(rand.NewPCG(1, 2))
	var all []entry
	total := int64(0)
	for life := range 3 {
		l, got := open(t, o)
		wantEntries(t, got, all)
		for i := range 400 {
			n := 1 + rng.IntN(300)
			switch rng.IntN(20) {
			case 0:
				n = rng.IntN(64 << 10)
			case 1:
				n = 256<<10 - rng.IntN(200) // about the largest that is written so
			case 2:
				n = rng.IntN(1 << 20)
			}
			rec := make([]byte, n)
			for i := range rec {
				rec[i] = byte(rng.Uint32())
			}
			all = append(all, put(t, l, rec))
			total += int64(n)
			for _, at := range []int{len(all) - 1, max(0, len(all)-1-rng.IntN(20)), rng.IntN(len(all))} {
				e := all[at]
				if rec, err := l.Read(e.pos, len(e.rec), nil); err != nil || !bytes.Equal(rec, e.rec) {
					t.Fatalf("life %d, record %d: Read(%v) of record %d returns %d bytes, %v; want %d", life, i, e.pos, at, len(rec), err, len(e.rec))
				}
			}
		}
		closeLog(t, l)
	}
	if _, direct := below.(vfs.Directs); direct {
		if written := counted.written.Load(); written < total/8 {
			t.Errorf("%d bytes of %d were written past the cache: does the file system of %s take O_DIRECT? If not, set TMPDIR to one that does",
				written, total, dir)
		}
		if counted.willRead.Load() == 0 {
			t.Error("the host's cache is told of nothing")
		}
	}
	report, err := seglog.Check(below, dir, nil)
	if err != nil || len(report.Damage) > 0 || report.Records != len(all) || !report.Clean {
		t.Errorf("Check: %+v, %v", report, err)
	}
}

// TestTailWithReaders has records read while others are written.
func TestTailWithReaders(t *testing.T) {
	t.Parallel()
	counted := &directFS{FS: vfs.NewMem()}
	l, _ := open(t, seglog.Options{FS: counted, Dir: dir, SegmentBytes: 2 << 20})
	var wg sync.WaitGroup
	for a := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(a), 3))
			var mine []entry
			for i := range 300 {
				rec := record(a*1000+i, 1+rng.IntN(8<<10))
				pos, ticket, err := l.Append(rec, false)
				if err == nil {
					err = l.Wait(context.Background(), ticket)
				}
				if err != nil {
					t.Error(err)
					return
				}
				mine = append(mine, entry{pos, rec})
				e := mine[rng.IntN(len(mine))]
				if rec, err := l.Read(e.pos, len(e.rec), nil); err != nil || !bytes.Equal(rec, e.rec) {
					t.Errorf("Read(%v) = %.20q, %v, want %.20q", e.pos, rec, err, e.rec)
					return
				}
			}
		})
	}
	wg.Wait()
	if counted.opened.Load() < 3 || counted.written.Load() == 0 {
		t.Errorf("%d segments were opened to write %d bytes past the cache", counted.opened.Load(), counted.written.Load())
	}
}

// TestWithoutDirect has a host that can't write past its cache, as it says at once, or when something is written.
func TestWithoutDirect(t *testing.T) {
	t.Parallel()
	refuse := &fs.PathError{Op: "write", Path: "x", Err: syscall.EINVAL}
	for _, test := range []struct {
		name string
		fs   *directFS
	}{
		{name: "open fails", fs: &directFS{openErr: syscall.EINVAL}},
		{name: "too many files", fs: &directFS{openErr: syscall.EMFILE}},
		{name: "write fails", fs: &directFS{writeErr: refuse}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := vfs.NewMem()
			test.fs.FS = m
			o := options(test.fs)
			var want []entry
			for range 2 {
				l, got := open(t, o)
				wantEntries(t, got, want)
				for i := range 40 {
					e := put(t, l, record(i, 300))
					want = append(want, e)
					if rec, err := l.Read(e.pos, len(e.rec), nil); err != nil || !bytes.Equal(rec, e.rec) {
						t.Fatalf("Read = %q, %v, want %q", rec, err, e.rec)
					}
				}
				closeLog(t, l)
			}
			if n := test.fs.opened.Load(); n == 0 || n > 10 {
				t.Errorf("%d files were opened to write past the cache, want one a segment", n)
			}
		})
	}
}

// TestDirectFails has a write past the cache fail for good: what it was to write is not safe, and nothing is written any more.
func TestDirectFails(t *testing.T) {
	t.Parallel()
	counted := &directFS{FS: vfs.NewMem()}
	l, _ := open(t, options(counted))
	e := put(t, l, record(1, 100))
	counted.writeErr = syscall.EIO
	_, ticket, err := l.Append(record(2, 100), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Wait(t.Context(), ticket); !errors.Is(err, seglog.ErrFailed) || !errors.Is(err, syscall.EIO) {
		t.Errorf("Wait: %v, want ErrFailed with EIO", err)
	}
	if rec, err := l.Read(e.pos, len(e.rec), nil); err != nil || !bytes.Equal(rec, e.rec) {
		t.Errorf("Read of what is safe = %q, %v", rec, err)
	}
	if err := l.Close(); !errors.Is(err, seglog.ErrFailed) {
		t.Errorf("Close: %v, want ErrFailed", err)
	}
	counted.writeErr = nil
	_, got := open(t, options(counted))
	if len(got) < 1 || !bytes.Equal(got[0].rec, e.rec) || len(got) > 2 {
		t.Errorf("%d records are there: %v", len(got), fmt.Sprint(got))
	}
}
