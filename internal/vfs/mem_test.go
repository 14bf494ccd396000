package vfs_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/bachata-go/bachata/internal/vfs"
)

const dir = "/d"

func newMem(tb testing.TB) *vfs.Mem {
	tb.Helper()
	m := vfs.NewMem()
	if err := m.MkdirAll(dir); err != nil {
		tb.Fatal(err)
	}
	return m
}

func create(tb testing.TB, m *vfs.Mem, name, content string) vfs.File {
	tb.Helper()
	f, err := m.Create(filepath.Join(dir, name))
	if err != nil {
		tb.Fatal(err)
	}
	write(tb, f, content, 0)
	return f
}

func write(tb testing.TB, f vfs.File, content string, offset int64) {
	tb.Helper()
	if _, err := f.WriteAt([]byte(content), offset); err != nil {
		tb.Fatal(err)
	}
}

func syncFile(tb testing.TB, f vfs.File) {
	tb.Helper()
	if err := f.Sync(); err != nil {
		tb.Fatal(err)
	}
}

func syncDir(tb testing.TB, m *vfs.Mem) {
	tb.Helper()
	d, err := m.OpenDir(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func read(tb testing.TB, fsys vfs.FS, name string) string {
	tb.Helper()
	f, err := fsys.OpenRead(name)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		tb.Fatal(err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && size > 0 {
		tb.Fatal(err)
	}
	return string(b)
}

// outcomes counts what crashes with many seeds leave.
func outcomes(tb testing.TB, m *vfs.Mem, look func(after *vfs.Mem) string) map[string]int {
	tb.Helper()
	seen := map[string]int{}
	for seed := range uint64(300) {
		seen[look(m.Crash(rand.New(rand.NewPCG(seed, 1))))]++
	}
	return seen
}

func wantOutcomes(tb testing.TB, got map[string]int, want ...string) {
	tb.Helper()
	for outcome := range got {
		if !slices.Contains(want, outcome) {
			tb.Errorf("a crash left %q, want one of %q", outcome, want)
		}
	}
	for _, outcome := range want {
		if got[outcome] == 0 {
			tb.Errorf("no crash left %q: %v", outcome, got)
		}
	}
}

func TestCrashKeepsWhatWasSynced(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	syncFile(t, create(t, m, "a", "synced"))
	syncDir(t, m)
	wantOutcomes(t, outcomes(t, m, func(after *vfs.Mem) string { return read(t, after, "/d/a") }), "synced")
}

func TestCrashMayLoseSectors(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	old, first, second := bytes.Repeat([]byte{'o'}, 512), bytes.Repeat([]byte{'1'}, 512), bytes.Repeat([]byte{'2'}, 512)
	f := create(t, m, "a", string(old)+string(old))
	syncFile(t, f)
	syncDir(t, m)
	write(t, f, string(first)+string(first), 0)
	write(t, f, string(second), 0)
	wantOutcomes(t, outcomes(t, m, func(after *vfs.Mem) string {
		s := read(t, after, "/d/a")
		if len(s) != 1024 || s != string(bytes.Repeat([]byte{s[0]}, 512))+string(bytes.Repeat([]byte{s[512]}, 512)) {
			return "torn sector"
		}
		return s[:1] + s[512:513]
	}), "oo", "o1", "1o", "11", "2o", "21")
	if got := read(t, m, "/d/a"); got != string(second)+string(first) {
		t.Error("Crash changed the file system that crashed")
	}
}

func TestCrashMayLoseGrowth(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	f := create(t, m, "a", "old")
	syncFile(t, f)
	syncDir(t, m)
	write(t, f, "new", 3)
	wantOutcomes(t, outcomes(t, m, func(after *vfs.Mem) string { return read(t, after, "/d/a") }), "old", "oldnew")
	syncFile(t, f)
	if err := f.Truncate(1); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, outcomes(t, m, func(after *vfs.Mem) string { return read(t, after, "/d/a") }), "oldnew", "o")
	syncFile(t, f)
	wantOutcomes(t, outcomes(t, m, func(after *vfs.Mem) string { return read(t, after, "/d/a") }), "o")
}

func TestCrashMayLoseNames(t *testing.T) {
	t.Parallel()
	look := func(after *vfs.Mem) string {
		names, err := after.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		all := ""
		for _, name := range names {
			all += name + "=" + read(t, after, filepath.Join(dir, name)) + " "
		}
		return all
	}
	m := newMem(t)
	syncFile(t, create(t, m, "a", "A"))
	wantOutcomes(t, outcomes(t, m, look), "", "a=A ")
	syncDir(t, m)
	wantOutcomes(t, outcomes(t, m, look), "a=A ")
	if err := m.Rename("/d/a", "/d/b"); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, outcomes(t, m, look), "a=A ", "b=A ")
	syncDir(t, m)
	if err := m.Remove("/d/b"); err != nil {
		t.Fatal(err)
	}
	syncFile(t, create(t, m, "c", "C"))
	wantOutcomes(t, outcomes(t, m, look), "b=A ", "", "b=A c=C ", "c=C ")
	syncDir(t, m)
	wantOutcomes(t, outcomes(t, m, look), "c=C ")
}

// TestFailedSyncForgets wants a second sync not to save what the first failed to.
func TestFailedSyncForgets(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	f := create(t, m, "a", string(make([]byte, 1024)))
	syncFile(t, f)
	syncDir(t, m)
	fresh := bytes.Repeat([]byte{'n'}, 1024)
	write(t, f, string(fresh), 0)
	m.OnOp(func(op vfs.Op) error { return syscall.EIO })
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("Sync: %v, want EIO", err)
	}
	m.OnOp(nil)
	syncFile(t, f)
	if got := read(t, m, "/d/a"); got != string(fresh) {
		t.Error("what was written is not to be seen any more")
	}
	for outcome := range outcomes(t, m, func(after *vfs.Mem) string { return read(t, after, "/d/a") }) {
		if outcome == string(fresh) {
			t.Error("a failed sync was made good by a later one")
		}
	}
	write(t, f, string(fresh), 0)
	syncFile(t, f)
	wantOutcomes(t, outcomes(t, m, func(after *vfs.Mem) string { return read(t, after, "/d/a") }), string(fresh))
}

func TestShortWriteAndCapacity(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	f := create(t, m, "a", "")
	m.OnOp(func(op vfs.Op) error { return &vfs.ShortWrite{Bytes: 2, Err: syscall.EIO} })
	if n, err := f.WriteAt([]byte("abcd"), 0); n != 2 || !errors.Is(err, syscall.EIO) {
		t.Errorf("WriteAt = %d, %v, want 2 and EIO", n, err)
	}
	m.OnOp(nil)
	m.SetCapacity(5)
	if n, err := f.WriteAt([]byte("cdefgh"), 2); n != 3 || !vfs.IsFull(err) {
		t.Errorf("WriteAt past the capacity = %d, %v, want 3 and a full disk", n, err)
	}
	if n, err := f.WriteAt([]byte("ABCDE"), 0); n != 5 || err != nil {
		t.Errorf("WriteAt in place = %d, %v, want 5", n, err)
	}
	if got := read(t, m, "/d/a"); got != "ABCDE" {
		t.Errorf("the file holds %q, want ABCDE", got)
	}
}

// TestBoth holds the two file systems to the same behavior.
func TestBoth(t *testing.T) {
	t.Parallel()
	for name, fsys := range map[string]vfs.FS{"mem": vfs.NewMem(), "os": vfs.OS{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "x", "y")
			for range 2 {
				if err := fsys.MkdirAll(dir); err != nil {
					t.Fatal(err)
				}
			}
			a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
			if _, err := fsys.Open(a); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Open of nothing: %v, want fs.ErrNotExist", err)
			}
			if err := fsys.Remove(a); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Remove of nothing: %v, want fs.ErrNotExist", err)
			}
			if _, err := fsys.List(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("List of nothing: %v, want fs.ErrNotExist", err)
			}
			f, err := fsys.Create(a)
			if err != nil {
				t.Fatal(err)
			}
			write(t, f, "hello", 2)
			syncFile(t, f)
			if err := fsys.Rename(a, b); err != nil {
				t.Fatal(err)
			}
			write(t, f, "H", 2)
			if got := read(t, fsys, b); got != "\x00\x00Hello" {
				t.Errorf("the file holds %q", got)
			}
			if err := f.Truncate(3); err != nil {
				t.Fatal(err)
			}
			if size, err := f.Size(); size != 3 || err != nil {
				t.Errorf("Size = %d, %v, want 3", size, err)
			}
			d, err := fsys.OpenDir(dir)
			if err == nil {
				err = errors.Join(d.Sync(), d.Close())
			}
			if err != nil {
				t.Errorf("sync directory: %v", err)
			}
			lock := filepath.Join(dir, "lock")
			held, err := fsys.Lock(lock)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fsys.Lock(lock); !errors.Is(err, vfs.ErrLocked) {
				t.Errorf("second Lock: %v, want ErrLocked", err)
			}
			if err := held.Close(); err != nil {
				t.Fatal(err)
			}
			if held, err = fsys.Lock(lock); err != nil {
				t.Errorf("Lock after Close: %v", err)
			} else {
				_ = held.Close()
			}
			if names, err := fsys.List(dir); err != nil || !slices.Equal(names, []string{"b", "lock"}) {
				t.Errorf("List = %q, %v, want b and lock", names, err)
			}
			if err := fsys.Remove(b); err != nil {
				t.Fatal(err)
			}
			write(t, f, "still open", 0)
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("ReadAt after Close: %v, want fs.ErrClosed", err)
			}
		})
	}
}
