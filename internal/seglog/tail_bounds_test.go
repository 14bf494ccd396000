package seglog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

// watchedFS notes what is done with the files that are written past the cache, and what is read of the others.
type watchedFS struct {
	*vfs.Mem
	reads  atomic.Int64 // calls of ReadAt
	before func()       // called before each direct write, if set

	mu       sync.Mutex
	open     int // direct files
	tried    int // writes
	writes   []extent
	willRead map[string][]extent
	writeErr error
}

type extent struct{ from, to int64 }

func (f *watchedFS) Create(name string) (vfs.File, error) { return f.watch(f.Mem.Create(name)) }
func (f *watchedFS) Open(name string) (vfs.File, error)   { return f.watch(f.Mem.Open(name)) }

func (f *watchedFS) watch(file vfs.File, err error) (vfs.File, error) {
	return watchedFile{file, f}, err
}

type watchedFile struct {
	vfs.File
	fs *watchedFS
}

func (f watchedFile) ReadAt(p []byte, offset int64) (int, error) {
	f.fs.reads.Add(1)
	return f.File.ReadAt(p, offset)
}

func (f *watchedFS) OpenDirect(name string) (vfs.DirectFile, error) {
	file, err := f.Mem.OpenDirect(name)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	return watchedDirect{file, f, filepath.Base(name)}, nil
}

type watchedDirect struct {
	vfs.DirectFile
	fs   *watchedFS
	name string
}

func (f watchedDirect) WriteAt(p []byte, offset int64) (int, error) {
	f.fs.mu.Lock()
	f.fs.tried++
	f.fs.writes = append(f.fs.writes, extent{offset, offset + int64(len(p))})
	err, before := f.fs.writeErr, f.fs.before
	f.fs.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if before != nil {
		before()
	}
	return f.DirectFile.WriteAt(p, offset)
}

func (f watchedDirect) WillRead(offset, n int64) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.fs.willRead == nil {
		f.fs.willRead = map[string][]extent{}
	}
	f.fs.willRead[f.name] = append(f.fs.willRead[f.name], extent{offset, offset + n})
}

func (f watchedDirect) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.fs.open--
	return f.DirectFile.Close()
}

// TestTailIsBounded wants no more written than the blocks that a batch is in, half a megabyte readable from memory, the
// host told of all else once, and all files given back.
func TestTailIsBounded(t *testing.T) {
	t.Parallel()
	m := &watchedFS{Mem: vfs.NewMem()}
	l, _ := open(t, seglog.Options{FS: m, Dir: dir, SegmentBytes: 2 << 20})
	var all []entry
	for i := 0; len(l.Segments()) < 3; i++ {
		e := put(t, l, record(i, 3000))
		all = append(all, e)
		last := m.writes[len(m.writes)-1]
		if n := last.to - last.from; n > 2*vfs.DirectBlock || last.from > int64(e.pos.Offset) {
			t.Fatalf("for a record of 3000 bytes at %v, %d bytes at %d are written", e.pos, n, last.from)
		}
		if e.pos.Segment != 2 {
			continue
		}
		reads := m.reads.Load()
		for _, e := range slices.Backward(all) {
			if last := all[len(all)-1].pos; e.pos.Segment != last.Segment || last.Offset-e.pos.Offset > 500<<10 {
				break
			}
			if rec, err := l.Read(e.pos, len(e.rec), nil); err != nil || !bytes.Equal(rec, e.rec) {
				t.Fatalf("Read(%v) = %.20q, %v", e.pos, rec, err)
			}
		}
		if n := m.reads.Load() - reads; n > 0 {
			t.Fatalf("what was written last is read from the file %d times, at %v", n, e.pos)
		}
	}
	if m.open != 1 {
		t.Errorf("%d files are open to write past the cache, want 1", m.open)
	}
	full := l.Segments()[:2]
	closeLog(t, l)
	if m.open != 0 {
		t.Errorf("%d files are left open", m.open)
	}
	for i, s := range full {
		at := int64(0)
		told := m.willRead[fmt.Sprintf("%010d.seg", i+1)]
		slices.SortFunc(told, func(a, b extent) int { return int(a.from - b.from) })
		for _, e := range told {
			if e.from != at {
				t.Errorf("segment %d: the host is told of %d to %d behind %d", s.ID, e.from, e.to, at)
			}
			at = e.to
		}
		if at != s.Bytes {
			t.Errorf("segment %d: the host is told of %d bytes of %d", s.ID, at, s.Bytes)
		}
	}
}

// TestLargeBatchLeavesMemory wants the host told of what was in memory before a batch that is written through its cache.
func TestLargeBatchLeavesMemory(t *testing.T) {
	t.Parallel()
	m := &watchedFS{Mem: vfs.NewMem()}
	l, _ := open(t, seglog.Options{FS: m, Dir: dir, SegmentBytes: 2 << 20})
	for i := range 50 {
		put(t, l, record(i, 3000))
	}
	large := put(t, l, record(50, 300<<10))
	closeLog(t, l)
	want := []extent{{0, int64(large.pos.Offset) - 32}}
	if got := m.willRead["0000000001.seg"]; !slices.Equal(got, want) {
		t.Errorf("the host is told of %v, want %v", got, want)
	}
}

// TestTailIsGivenUpOnce has a file system refuse the first write past its cache: it is not asked again for that segment.
func TestTailIsGivenUpOnce(t *testing.T) {
	t.Parallel()
	m := &watchedFS{Mem: vfs.NewMem(), writeErr: syscall.EINVAL}
	l, _ := open(t, seglog.Options{FS: m, Dir: dir, SegmentBytes: 1 << 20})
	defer closeLog(t, l)
	for i := range 10 {
		put(t, l, record(i, 300))
	}
	if m.tried != 1 || m.open != 0 {
		t.Errorf("it was tried %d times, and %d files are open", m.tried, m.open)
	}
}

// TestTailIsNotReadTooSoon reads a record, which is in memory by then, while it is written.
func TestTailIsNotReadTooSoon(t *testing.T) {
	t.Parallel()
	m := &watchedFS{Mem: vfs.NewMem()}
	l, _ := open(t, seglog.Options{FS: m, Dir: dir, SegmentBytes: 1 << 20})
	defer closeLog(t, l)
	for i := range 50 {
		rec := record(i, i)
		begun, goOn := make(chan struct{}), make(chan struct{})
		m.mu.Lock()
		m.before = sync.OnceFunc(func() { close(begun); <-goOn })
		m.mu.Unlock()
		pos, ticket, err := l.Append(rec, false)
		if err != nil {
			t.Fatal(err)
		}
		<-begun
		if rec, err := l.Read(pos, len(rec), nil); err == nil {
			t.Errorf("Read(%v) = %q while it is written", pos, rec)
		}
		close(goOn)
		if err := l.Wait(t.Context(), ticket); err != nil {
			t.Fatal(err)
		}
		if got, err := l.Read(pos, len(rec), nil); err != nil || !bytes.Equal(got, rec) {
			t.Errorf("Read(%v) = %q, %v, want %q", pos, got, err, rec)
		}
	}
}

// TestBlockEndsWithZeros wants zeros behind what was written, up to the end of its block, and what was there behind that.
func TestBlockEndsWithZeros(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	l, _ := open(t, seglog.Options{FS: m, Dir: dir, SegmentBytes: 1 << 20})
	rng := rand.New(rand.NewPCG(4, 4))
	// Records that fill the memory more than once, then a few in the next segment, which had no zeros in it.
	for i := 0; len(l.Segments()) < 2; i++ {
		put(t, l, bytes.Repeat([]byte{0xee}, 5000))
	}
	name := dir + "/0000000002.seg"
	f, err := m.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Repeat([]byte{0xdd}, 512<<10)
	if _, err := f.WriteAt(before, 512<<10); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	for {
		e := put(t, l, bytes.Repeat([]byte{0xee}, 1+rng.IntN(9000)))
		if e.pos.Offset > 600<<10 {
			break
		}
		if e.pos.Offset < 512<<10 {
			continue
		}
		end := int64(e.pos.Offset) + 8 + int64(len(e.rec)+7)&^7
		block := (end + vfs.DirectBlock - 1) &^ (vfs.DirectBlock - 1)
		got := make([]byte, block-end+64)
		if _, err := f.ReadAt(got, end); err != nil {
			t.Fatal(err)
		}
		if zeros := got[:block-end]; !bytes.Equal(zeros, make([]byte, len(zeros))) {
			t.Fatalf("behind %d is %x, want zeros up to %d", end, zeros, block)
		}
		if rest := got[block-end:]; !bytes.Equal(rest, before[:len(rest)]) {
			t.Fatalf("behind the block at %d is %x", block, rest)
		}
	}
	closeLog(t, l)
}

// TestCrashWithLargeBatches has the power fail while batches are written past the cache and through it, in turns.
func TestCrashWithLargeBatches(t *testing.T) {
	t.Parallel()
	for k := 0; ; k++ {
		rng := rand.New(rand.NewPCG(uint64(k), 17))
		m := vfs.NewMem()
		o := seglog.Options{FS: m, Dir: dir, SegmentBytes: 1 << 20}
		var want []entry
		safe, died := 0, false
		for life := range 2 {
			dieAt(m, k)
			if life > 0 {
				dieAt(m, 4+rng.IntN(20))
			}
			l, got, err := reopen(o)
			if err == nil {
				if len(got) < safe || len(got) > len(want) {
					t.Fatalf("crash at operation %d: %d records, %d were appended, %d were safe", k, len(got), len(want), safe)
				}
				wantEntries(t, got, want[:len(got)])
				want, safe = got, len(got)
				for i := 0; i < 12 && err == nil; i++ {
					n := rng.IntN(6000)
					if rng.IntN(3) == 0 {
						n = 256<<10 + rng.IntN(40<<10)
					}
					rec := record(len(want), n)
					var pos seglog.Pos
					var ticket seglog.Ticket
					if pos, ticket, err = l.Append(rec, false); err != nil {
						break
					}
					want = append(want, entry{pos, rec})
					if err = l.Wait(context.Background(), ticket); err == nil {
						safe = len(want)
					}
				}
				err = errors.Join(err, l.Close())
			}
			if err != nil && !errors.Is(err, errDead) {
				t.Fatalf("crash at operation %d: %v", k, err)
			}
			died = died || life == 0 && err != nil
			m = m.Crash(rng)
			o.FS = m
		}
		_, got := open(t, o)
		if len(got) < safe || len(got) > len(want) {
			t.Fatalf("crash at operation %d: %d records, %d were appended, %d were safe", k, len(got), len(want), safe)
		}
		wantEntries(t, got, want[:len(got)])
		if t.Failed() {
			t.Fatalf("crash at operation %d", k)
		}
		if !died {
			t.Logf("%d operations", k)
			return
		}
	}
}
