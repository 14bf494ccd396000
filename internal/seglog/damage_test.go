package seglog_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

// TestBitFlips changes one bit after the other in what a cleanly closed log uses. Each must be reported, by Open with
// the file, and by Check with the file and a place before or at the bit, but for those of the mark that Close
// left, which hold nothing. What is read in spite of it must be right.
func TestBitFlips(t *testing.T) {
	t.Parallel()
	m, want := build(t)
	used := lengths(t, m)
	used["store"] = int64(len(content(t, m, "store")))
	last := ""
	for name := range used {
		if strings.HasSuffix(name, ".seg") && name > last {
			last = name
		}
	}
	if len(used) < 4 {
		t.Fatalf("the log uses %d files, want a few", len(used))
	}
	for name, length := range used {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			original := content(t, m, name)
			for at := range length {
				flipped := m.Crash(testRand())
				bit := byte(1) << (at % 8)
				edit(t, flipped, name, func(b []byte) []byte {
					b[at] ^= bit
					return b
				})
				mark := name == last && at >= length-32
				flipCase(t, flipped, name, at, mark, want)
				if t.Failed() {
					t.Fatalf("byte %d of %d, %#x", at, length, original[at])
				}
			}
		})
	}
}

func flipCase(t *testing.T, m *vfs.Mem, name string, at int64, mark bool, want []entry) {
	t.Helper()
	report, got := check(t, m)
	for _, e := range got {
		if !contains(want, e) {
			t.Errorf("Check hands out %q at %v, which was never appended", e.rec, e.pos)
		}
	}
	o := options(m)
	o.SegmentBytes = 4 << 10
	l, got, err := reopen(o)
	if mark {
		if err != nil || len(report.Damage) > 0 || report.Clean {
			t.Errorf("Open: %v, Check: %+v, want a log that was not closed", err, report)
		}
		wantEntries(t, got, want)
		closeLog(t, l)
		return
	}
	if len(report.Damage) != 1 || filepath.Base(report.Damage[0].File) != name || report.Damage[0].Offset > at {
		t.Errorf("Check: %v, want one damage in %s at %d or before", report.Damage, name, at)
	}
	damage, ok := errors.AsType[*seglog.DamageError](err)
	if !ok {
		t.Errorf("Open: %v, want a DamageError", err)
		return
	}
	if filepath.Base(damage.File) != name || damage.Offset > at {
		t.Errorf("Open: %v, want damage in %s at %d or before", err, name, at)
	}
	wantEntries(t, got, want[:len(got)])
}

func contains(entries []entry, e entry) bool {
	for _, w := range entries {
		if w.pos == e.pos {
			return bytes.Equal(w.rec, e.rec)
		}
	}
	return false
}

// TestReadFindsDamage changes each bit of a record of an open log.
func TestReadFindsDamage(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	m.SetDirect(false) // else what was written last is read from memory
	l, _ := open(t, options(m))
	put(t, l, []byte("before"))
	e := put(t, l, record(1, 40))
	put(t, l, []byte("after"))
	f, err := m.Open(filepath.Join(dir, "0000000001.seg"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	for bit := range (8 + len(e.rec)) * 8 {
		at := int64(e.pos.Offset) + int64(bit/8)
		flip := func() {
			if _, err := f.ReadAt(b, at); err != nil {
				t.Fatal(err)
			}
			b[0] ^= 1 << (bit % 8)
			if _, err := f.WriteAt(b, at); err != nil {
				t.Fatal(err)
			}
		}
		flip()
		rec, err := l.Read(e.pos, len(e.rec), nil)
		damage, ok := errors.AsType[*seglog.DamageError](err)
		if !ok || damage.Offset != int64(e.pos.Offset) {
			t.Fatalf("Read with bit %d changed = %q, %v, want a DamageError at %d", bit, rec, err, e.pos.Offset)
		}
		flip()
	}
	// A disk that puts the right bytes in the wrong place.
	moved := put(t, l, e.rec)
	misplaced := make([]byte, 8+len(e.rec))
	if _, err := f.ReadAt(misplaced, int64(e.pos.Offset)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(misplaced, int64(moved.pos.Offset)); err != nil {
		t.Fatal(err)
	}
	if rec, err := l.Read(moved.pos, len(e.rec), nil); err == nil {
		t.Errorf("Read of a misplaced record = %q, want an error", rec)
	}
	for _, n := range []int{-1, 0, len(e.rec) - 1, len(e.rec) + 1, 1 << 30} {
		if rec, err := l.Read(e.pos, n, nil); err == nil {
			t.Errorf("Read of %d bytes = %q, want an error", n, rec)
		}
	}
	if rec, err := l.Read(seglog.Pos{Segment: 1, Offset: e.pos.Offset + 8}, len(e.rec), nil); err == nil {
		t.Errorf("Read at a wrong place = %q, want an error", rec)
	}
	if _, err := l.Read(seglog.Pos{Segment: 9, Offset: 64}, 1, nil); !errors.Is(err, seglog.ErrNoSegment) {
		t.Errorf("Read of a segment that isn't there: %v, want ErrNoSegment", err)
	}
}

// TestDamagedFiles has a log's files vanish, shrink and change places.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	all := []string{}
	m, _ := build(t)
	for name := range lengths(t, m) {
		all = append(all, name)
	}
	first, last := all[0], all[0]
	for _, name := range all {
		first, last = min(first, name), max(last, name)
	}
	middle := ""
	for _, name := range all {
		if name != first && name != last {
			middle = name
		}
	}
	tests := []struct {
		name   string
		file   string // that is named
		damage func(m *vfs.Mem)
	}{
		{"missing segment", middle, func(m *vfs.Mem) { remove(t, m, middle) }},
		{"missing store", "store", func(m *vfs.Mem) { remove(t, m, "store") }},
		{"empty store", "store", func(m *vfs.Mem) { edit(t, m, "store", func([]byte) []byte { return nil }) }},
		{"long store", "store", func(m *vfs.Mem) { edit(t, m, "store", func(b []byte) []byte { return append(b, 0) }) }},
		{"empty segment", middle, func(m *vfs.Mem) { edit(t, m, middle, func([]byte) []byte { return nil }) }},
		{"shorter segment", middle, func(m *vfs.Mem) { edit(t, m, middle, func(b []byte) []byte { return b[:2048] }) }},
		{"shorter last segment", last, func(m *vfs.Mem) { edit(t, m, last, func(b []byte) []byte { return b[:100] }) }},
		{"longer segment", middle, func(m *vfs.Mem) { edit(t, m, middle, func(b []byte) []byte { return append(b, 0) }) }},
		{"zeros", middle, func(m *vfs.Mem) { edit(t, m, middle, func(b []byte) []byte { clear(b); return b }) }},
		{"zero sector", last, func(m *vfs.Mem) { edit(t, m, last, func(b []byte) []byte { clear(b[:512]); return b }) }},
		{"other segment's content", middle, func(m *vfs.Mem) {
			edit(t, m, middle, func([]byte) []byte { return content(t, m, first) })
		}},
		{"another store's last segment", last, func(m *vfs.Mem) {
			other, _ := buildStore(t, 2)
			edit(t, m, last, func([]byte) []byte { return content(t, other, last) })
		}},
		{"another store's segment", middle, func(m *vfs.Mem) {
			other, _ := buildStore(t, 2)
			edit(t, m, middle, func([]byte) []byte { return content(t, other, middle) })
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, want := build(t)
			tt.damage(m)
			report, got := check(t, m)
			named := false
			for _, d := range report.Damage {
				named = named || filepath.Base(d.File) == tt.file
			}
			if !named {
				t.Errorf("Check: %v, want damage in %s", report.Damage, tt.file)
			}
			for _, e := range got {
				if !contains(want, e) {
					t.Errorf("Check hands out %q at %v, which was never appended", e.rec, e.pos)
				}
			}
			o := options(m)
			o.SegmentBytes = 4 << 10
			_, _, err := reopen(o)
			damage, ok := errors.AsType[*seglog.DamageError](err)
			if !ok || filepath.Base(damage.File) != tt.file {
				t.Errorf("Open: %v, want damage in %s", err, tt.file)
			}
		})
	}
}

// TestCheckGoesOn damages several places and wants all named, and everything else handed out.
func TestCheckGoesOn(t *testing.T) {
	t.Parallel()
	m, want := build(t)
	bad := []entry{want[2], want[3], want[9], want[20]}
	for _, e := range bad {
		edit(t, m, fmt.Sprintf("%010d.seg", e.pos.Segment), func(b []byte) []byte {
			b[e.pos.Offset+20] ^= 0x10
			return b
		})
	}
	report, got := check(t, m)
	if len(report.Damage) != len(bad) {
		t.Errorf("Check: %v, want %d places", report.Damage, len(bad))
	}
	if len(got) != len(want)-len(bad) || report.Records != len(got) || !report.Clean {
		t.Errorf("Check hands out %d records of %d with %d bad ones, %+v", len(got), len(want), len(bad), report)
	}
}

// TestRescue damages parts of a batch of many records. Check hands out all others.
func TestRescue(t *testing.T) {
	t.Parallel()
	const perBatch = 10
	zero := func(b []byte) { clear(b) }
	for _, test := range []struct {
		name   string
		from   int // record of the second batch at which the change begins; negative: with the batch's header
		at     int // bytes behind that
		bytes  int
		change func(b []byte)
		lost   []int // of that batch
	}{
		{"a byte", 4, 8 + 3, 1, func(b []byte) { b[0] ^= 1 }, []int{4}},
		{"the last byte", 9, 8 + 48, 1, func(b []byte) { b[0] ^= 1 }, []int{9}},
		{"a length", 0, 4, 4, func(b []byte) { b[0] ^= 0x40 }, []int{0}},
		{"a length that is none", 5, 4, 4, func(b []byte) { copy(b, "\xff\xff\xff\xff") }, []int{5}},
		{"the end of one and the start of the next", 2, 8 + 30, 60, zero, []int{2, 3}},
		{"the batch's header", -1, 0, 32, zero, nil},
		{"the batch's header and a record", -1, 20, 30, zero, []int{0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := vfs.NewMem()
			l, _ := open(t, options(m))
			var want []entry
			for batch := range 3 {
				var recs [][]byte
				for i := range perBatch {
					recs = append(recs, record(perBatch*batch+i, 49))
				}
				pos := make([]seglog.Pos, len(recs))
				ticket, err := l.AppendAll(recs, false, pos)
				if err != nil {
					t.Fatal(err)
				}
				if err := l.Wait(t.Context(), ticket); err != nil {
					t.Fatal(err)
				}
				for i, rec := range recs {
					if batch != 1 || !slices.Contains(test.lost, i) {
						want = append(want, entry{pos[i], rec})
					}
				}
				if batch != 1 {
					continue
				}
				test.at += int(pos[max(test.from, 0)].Offset)
				if test.from < 0 {
					test.at -= 32
				}
			}
			closeLog(t, l)
			edit(t, m, "0000000001.seg", func(b []byte) []byte {
				test.change(b[test.at : test.at+test.bytes])
				return b
			})
			report, got := check(t, m)
			wantEntries(t, got, want)
			if len(report.Damage) != 1 || report.Records != len(want) || !report.Clean {
				t.Errorf("Check: %+v", report)
			}
		})
	}
}

func TestUnknownVersion(t *testing.T) {
	t.Parallel()
	m, _ := build(t)
	edit(t, m, "store", func(b []byte) []byte {
		binary.LittleEndian.PutUint32(b[8:], 7)
		return seglog.SealStore(b)
	})
	o := options(m)
	o.SegmentBytes = 4 << 10
	if _, _, err := reopen(o); !errors.Is(err, seglog.ErrVersion) || !strings.Contains(err.Error(), "7") {
		t.Errorf("Open: %v, want ErrVersion with the number", err)
	}
	if _, err := seglog.Check(m, dir, nil); !errors.Is(err, seglog.ErrVersion) {
		t.Errorf("Check: %v, want ErrVersion", err)
	}
}

// TestTornTail cuts the last batch short at each byte, and fills the rest with what the file may have held before.
func TestTornTail(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	l, _ := open(t, options(m))
	var want []entry
	for i := range 3 {
		want = append(want, put(t, l, record(i, 30)))
	}
	m.OnOp(func(vfs.Op) error { return errDead })
	_ = l.Close()
	m.OnOp(nil)
	const name = "0000000001.seg"
	whole := content(t, m, name)
	start, end := int(want[2].pos.Offset)-32, int(want[2].pos.Offset)+8+len(want[2].rec)
	for at := start; at < end; at++ {
		for _, rest := range []byte{0, 0xff, 'x'} {
			torn := m.Crash(testRand())
			edit(t, torn, name, func(b []byte) []byte {
				for i := at; i < end; i++ {
					b[i] = rest
				}
				return b
			})
			intact := bytes.Equal(content(t, torn, name), whole)
			if _, got := check(t, torn); !intact && len(got) != 2 {
				t.Fatalf("Check hands out %d records with the last batch cut at %d, want 2", len(got), at-start)
			}
			l, got, err := reopen(options(torn))
			if err != nil {
				t.Fatalf("Open with the last batch cut at %d: %v", at-start, err)
			}
			if intact {
				wantEntries(t, got, want)
			} else {
				wantEntries(t, got, want[:2])
			}
			e := put(t, l, record(7, 1))
			closeLog(t, l)
			_, got = open(t, options(torn))
			wantEntries(t, got[len(got)-1:], []entry{e})
		}
	}
}

// What was cut off when the log was opened is not taken for good where the header of the segment after it, which says
// where the good part ends, is damaged or missing.
func TestCutOffStaysSo(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(m *vfs.Mem){
		"header": func(m *vfs.Mem) {
			edit(t, m, "0000000002.seg", func(b []byte) []byte { clear(b[:64]); return b })
		},
		"segment": func(m *vfs.Mem) { remove(t, m, "0000000002.seg") },
	} {
		t.Run(name, func(t *testing.T) {
			m := vfs.NewMem()
			o := options(m)
			o.SegmentBytes = 4 << 10
			l, _ := open(t, o)
			want := []entry{put(t, l, record(0, 1000)), put(t, l, record(1, 1000))}
			pos := make([]seglog.Pos, 2)
			ticket, err := l.AppendAll([][]byte{record(2, 200), record(3, 200)}, false, pos)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Wait(t.Context(), ticket); err != nil {
				t.Fatal(err)
			}
			m.OnOp(func(vfs.Op) error { return errDead })
			_ = l.Close()
			m = m.Crash(testRand())
			edit(t, m, "0000000001.seg", func(b []byte) []byte {
				b[pos[1].Offset+20] ^= 1 // the second record had not been written
				return b
			})
			o.FS = m
			l, got := open(t, o)
			wantEntries(t, got, want)
			for i := range 4 {
				e := put(t, l, record(4+i, 3000))
				if name == "header" || e.pos.Segment != 2 {
					want = append(want, e)
				}
			}
			closeLog(t, l)
			damage(m)
			report, got := check(t, m)
			wantEntries(t, got, want)
			if len(report.Damage) == 0 {
				t.Error("no damage is reported")
			}
		})
	}
}
