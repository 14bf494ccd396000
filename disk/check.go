package disk

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

// Report says what Check has found.
type Report struct {
	Segments int   // files of the log that are in use
	Records  int   // that are good
	Bytes    int64 // that these and their headers take

	Messages   int // pending, once for each inbox that holds it
	Receipts   int // waiting
	Gaps       int // waiting
	Remembered int // ids of messages that are not pending any more

	// Clean is true if the queue was closed, and nothing was written since.
	Clean bool
	// Torn is a write at the end that was cut short: nobody was told that it is safe, and Open cuts it off. Nil if there
	// is none.
	Torn *Damage
	// Damage is every place that is not as it was written. Open refuses such a queue.
	Damage []Damage
}

// Damage is a place that is not as it was written.
type Damage struct {
	File   string // its path
	Offset int64  // in bytes
	Reason string
}

// String names the file, the offset and the reason.
func (d Damage) String() string {
	return fmt.Sprintf("%s is damaged at offset %d: %s", d.File, d.Offset, d.Reason)
}

// Check reads the queue in dir without changing it, and reports what it holds and what is damaged. The queue must not
// be open: ErrLocked. An error means that there is no queue (fs.ErrNotExist), or none that this version knows
// (ErrVersion).
func Check(dir string) (Report, error) { return check(vfs.OS{}, dir) }

func check(fsys vfs.FS, dir string) (Report, error) {
	salt, err := readHeader(fsys, dir)
	damage, isDamage := errors.AsType[*seglog.DamageError](err)
	if err != nil && !isDamage {
		return Report{}, fmt.Errorf("check queue %q: %w", dir, err)
	}
	report, err := examine(fsys, dir, salt, nil)
	if isDamage {
		report.Damage = slices.Insert(report.Damage, 0, damageOf(damage))
	}
	return report, err
}

// examine is Check but for the header: with another salt than that of the queue only the keys are wrong. Every record that
// is good is handed to keep, unless that is nil; an error of its ends it.
func examine(fsys vfs.FS, dir string, salt inbox.Salt, keep func(pos seglog.Pos, rec []byte) error) (report Report, err error) {
	limits, err := inbox.Resolve(bachata.QueueOptions{DedupeCap: math.MaxInt32 / 2})
	if err != nil {
		return report, err
	}
	book := inbox.New(limits, inbox.Store[ref]{Weight: weight})
	p := newPlayer(book, limits.Now().UnixMilli())
	p.salt, p.salted = salt, true
	found, err := seglog.Check(fsys, dir, func(pos seglog.Pos, rec []byte) error {
		if err := p.play(pos, rec); err != nil {
			report.Damage = append(report.Damage, Damage{segmentFile(dir, pos.Segment), int64(pos.Offset), err.Error()})
			return nil
		}
		if keep == nil {
			return nil
		}
		return keep(pos, rec)
	})
	if errors.Is(err, seglog.ErrLocked) {
		return report, fmt.Errorf("%w: %w", ErrLocked, err)
	}
	if err != nil {
		return report, fmt.Errorf("check queue %q: %w", dir, err)
	}
	for _, d := range found.Damage {
		report.Damage = append(report.Damage, damageOf(d))
	}
	if found.Torn != nil {
		torn := damageOf(found.Torn)
		report.Torn = &torn
	}
	report.Segments, report.Records, report.Bytes, report.Clean = found.Segments, found.Records, found.Bytes, found.Clean
	stats := book.Stats()
	report.Messages, report.Receipts, report.Gaps = stats.Messages, stats.Receipts, stats.Gaps
	report.Remembered = stats.Remembered
	return report, nil
}

// segmentFile returns the path of a segment, as seglog's FORMAT.md has it.
func segmentFile(dir string, id uint32) string {
	return filepath.Join(dir, fmt.Sprintf("%010d", id)+segmentSuffix)
}

const segmentSuffix = ".seg"

func damageOf(d *seglog.DamageError) Damage { return Damage{d.File, d.Offset, d.Reason} }
