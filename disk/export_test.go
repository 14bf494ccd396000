package disk

import (
	"github.com/bachata-go/bachata/internal/inbox"
	"github.com/bachata-go/bachata/internal/vfs"
)

// What the tests outside of the package look at.

func AppendOps(b []byte, ops []inbox.Op) []byte { return appendOps(b, ops) }

func Decode(rec []byte) ([]inbox.Op, error) { return new(decoder).decode(rec) }

func EncodeHeader(salt inbox.Salt) []byte { return encodeHeader(salt) }

func DecodeHeader(b []byte) (inbox.Salt, error) { return decodeHeader(b) }

func CheckIn(fsys vfs.FS, dir string) (Report, error) { return check(fsys, dir) }

func SalvageIn(fsys vfs.FS, dir, to string) (found, kept Report, err error) {
	return salvage(fsys, dir, to)
}

// Sweep looks for what has expired, now.
func (q *Queue) Sweep() { q.engine.Sweep() }

// Stats counts what the queue holds.
func (q *Queue) Stats() (s inbox.Stats) {
	q.engine.With(func(b *inbox.Book[ref]) { s = b.Stats() })
	return s
}

// Segments returns how many segments are in use.
func (q *Queue) Segments() int { return len(q.store.log.Segments()) }

// ReclaimOldest gives the oldest segment back now, if it is sealed, whether that is worth it or not.
func (q *Queue) ReclaimOldest() (bool, error) {
	oldest := q.store.log.Segments()[0]
	if !oldest.Sealed {
		return false, nil
	}
	_, err := q.reclaim(oldest.ID, true)
	return true, err
}

// NewestSegment returns the number of the segment that is being filled: it goes up as long as anything is written.
func (q *Queue) NewestSegment() uint32 {
	segments := q.store.log.Segments()
	return segments[len(segments)-1].ID
}
