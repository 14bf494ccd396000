package seglog_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/bachata-go/bachata/internal/seglog"
)

// FuzzRecovery opens a log whose last segment is arbitrary bytes: Open must return, with an error or with records of
// which the segments before are whole, and a log that it opened must work. With fix, the bytes get the checksums that
// they claim, so that what is behind the checksums is reached too.
func FuzzRecovery(f *testing.F) {
	const name = "0000000004.seg"
	m, want := build(f)
	good := content(f, m, name)
	sealed := 0
	for _, e := range want {
		if e.pos.Segment < 4 {
			sealed++
		}
	}
	f.Add(good, false)
	f.Add(good, true)
	f.Add(good[:100], true)
	f.Add([]byte{}, false)
	for _, at := range []int{12, 40, 44, 70, 76, 84, 88, 96, 100, 110} {
		b := bytes.Clone(good)
		b[at] ^= 0x41
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, fix bool) {
		if len(b) > 64<<10 {
			return
		}
		m := m.Crash(testRand())
		if fix {
			b = seglog.FixChecksums(bytes.Clone(b), content(t, m, "store"), 4)
		}
		edit(t, m, name, func([]byte) []byte { return b })
		report, err := seglog.Check(m, dir, nil)
		if err != nil && !errors.Is(err, seglog.ErrVersion) {
			t.Fatalf("Check: %v", err)
		}
		o := options(m)
		o.SegmentBytes = 4 << 10
		l, got, err := reopen(o)
		if err != nil {
			if _, ok := errors.AsType[*seglog.DamageError](err); !ok && !errors.Is(err, seglog.ErrVersion) {
				t.Fatalf("Open: %v, want a DamageError", err)
			}
			if len(report.Damage) == 0 && !errors.Is(err, seglog.ErrVersion) {
				t.Fatalf("Open: %v, and Check finds nothing", err)
			}
			return
		}
		if len(report.Damage) > 0 {
			t.Fatalf("Open finds nothing, and Check %v", report.Damage)
		}
		wantEntries(t, got[:sealed], want[:sealed])
		for _, e := range got {
			if rec, err := l.Read(e.pos, len(e.rec), nil); err != nil || !bytes.Equal(rec, e.rec) {
				t.Fatalf("Read(%v) = %q, %v, want %q", e.pos, rec, err, e.rec)
			}
		}
		e := put(t, l, []byte("more"))
		closeLog(t, l)
		l, again, err := reopen(o)
		if err != nil {
			t.Fatalf("Open again: %v", err)
		}
		wantEntries(t, again, append(got, e))
		closeLog(t, l)
	})
}
