package seglog_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

// build makes a log of small segments that was closed cleanly and returns what it holds. The segments have been
// recycled, so that they end in what older ones held.
func build(tb testing.TB) (*vfs.Mem, []entry) {
	tb.Helper()
	return buildStore(tb, 1)
}

func buildStore(tb testing.TB, id byte) (*vfs.Mem, []entry) {
	tb.Helper()
	m := vfs.NewMem()
	if err := m.MkdirAll(dir); err != nil {
		tb.Fatal(err)
	}
	f, err := m.Create(filepath.Join(dir, "store"))
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := f.WriteAt(seglog.StoreHeader(id), 0); err != nil {
		tb.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		tb.Fatal(err)
	}
	o := options(m)
	o.SegmentBytes = 4 << 10
	l, _ := open(tb, o)
	var want []entry
	for i := range 60 {
		e := put(tb, l, record(i, 150+i))
		want = append(want, e)
		if s := l.Segments(); len(s) > 3 {
			if err := l.Release(s[0].ID); err != nil {
				tb.Fatalf("Release: %v", err)
			}
			for want[0].pos.Segment == s[0].ID {
				want = want[1:]
			}
		}
	}
	closeLog(tb, l)
	return m, want
}

// edit changes a file of a log.
func edit(tb testing.TB, m *vfs.Mem, name string, change func(b []byte) []byte) {
	tb.Helper()
	b := content(tb, m, name)
	f, err := m.Create(filepath.Join(dir, name))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(change(b), 0); err != nil {
		tb.Fatal(err)
	}
}

func content(tb testing.TB, m *vfs.Mem, name string) []byte {
	tb.Helper()
	f, err := m.OpenRead(filepath.Join(dir, name))
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
	return b
}

func remove(tb testing.TB, m *vfs.Mem, name string) {
	tb.Helper()
	if err := m.Remove(filepath.Join(dir, name)); err != nil {
		tb.Fatal(err)
	}
}

func check(tb testing.TB, m *vfs.Mem) (seglog.Report, []entry) {
	tb.Helper()
	var got []entry
	report, err := seglog.Check(m, dir, func(pos seglog.Pos, rec []byte) error {
		got = append(got, entry{pos, bytes.Clone(rec)})
		return nil
	})
	if err != nil {
		tb.Fatalf("Check: %v", err)
	}
	return report, got
}

// lengths returns how much of each segment is in use, by name.
func lengths(tb testing.TB, m *vfs.Mem) map[string]int64 {
	tb.Helper()
	o := options(m)
	o.SegmentBytes = 4 << 10
	l, _ := open(tb, o)
	defer l.Close()
	used := map[string]int64{}
	for _, s := range l.Segments() {
		used[fmt.Sprintf("%010d.seg", s.ID)] = s.Bytes
	}
	return used
}
