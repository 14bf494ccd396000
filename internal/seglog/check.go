package seglog

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/bachata-go/bachata/internal/vfs"
)

// Report says what Check has found.
type Report struct {
	Segments int // in use
	Batches  int // that are good
	Records  int // that are good
	Bytes    int64
	// Clean is true if the log was closed, and nothing was written since.
	Clean bool
	// Torn is a batch at the end of the log whose writing was cut short: nobody was told that it is safe, and Open
	// cuts it off. Nil if there is none, or if it can't be told from what a file held before.
	Torn *DamageError
	// Damage is every place that is not as it was written, in the log's order. Open refuses such a log.
	Damage []*DamageError
}

// Check reads a whole log without changing it, and hands every record that is good to visit, those of damaged batches
// too; visit may be nil. rec is only valid during the call, and an error of visit ends it. The log need not have been closed,
// but it must not be in use: ErrLocked. What is damaged, or can't be read, is in the report; an error means that there is no
// log (fs.ErrNotExist), or none that this version knows (ErrVersion).
func Check(fsys vfs.FS, dir string, visit func(pos Pos, rec []byte) error) (Report, error) {
	if visit == nil {
		visit = func(Pos, []byte) error { return nil }
	}
	c := checker{fs: fsys, dir: dir, visit: visit}
	if err := c.run(); err != nil {
		return c.report, fmt.Errorf("check log %q: %w", dir, err)
	}
	return c.report, nil
}

type checker struct {
	fs     vfs.FS
	dir    string
	visit  func(pos Pos, rec []byte) error
	report Report
	id     storeID
}

// checked is a segment that Check has opened.
type checked struct {
	*segment
	header  segmentHeader
	bad     string // why its header is none that is good
	foreign bool   // it is another store's
	at      int64  // if bad: the first batch that was found
	number  uint64 // of that; zero if there is none
}

func (c checked) inUse() bool { return c.bad == "" || c.number > 0 || c.foreign }

func (c *checker) run() error {
	found, err := list(c.fs, c.dir)
	if err != nil {
		return err
	}
	if !found.store && len(found.segments) == 0 {
		return fs.ErrNotExist
	}
	if found.lock {
		lock, err := lockStore(c.fs, c.dir)
		if err != nil {
			return err
		}
		defer func() { _ = lock.Close() }()
	}
	if err := c.identify(found); err != nil {
		return err
	}
	for i := range found.segments {
		if d := (listing{segments: found.segments[i:min(i+2, len(found.segments))]}).gap(c.dir); d != nil {
			c.damaged(d)
		}
	}
	var segments []checked
	defer func() {
		for _, s := range segments {
			_ = s.file.Close()
		}
	}()
	last := -1
	for _, id := range found.segments {
		s, ok := c.open(id)
		if !ok {
			continue
		}
		if s.bad == "" && s.header.version != formatVersion {
			return fmt.Errorf("%s: %w %d, this program knows %d", s.name, ErrVersion, s.header.version, formatVersion)
		}
		segments = append(segments, s)
		if s.inUse() {
			last = len(segments) - 1
		}
	}
	return c.walkAll(segments[:last+1])
}

// identify finds out the store's id, from the segments if need be.
func (c *checker) identify(found listing) error {
	name := filepath.Join(c.dir, storeName)
	h, err := readStore(c.fs, c.dir)
	if err == nil {
		c.id = h.id
		return nil
	}
	if errors.Is(err, ErrVersion) {
		return err
	}
	damage, ok := errors.AsType[*DamageError](err)
	if !ok {
		damage = &DamageError{File: name, Reason: err.Error()}
	}
	c.damaged(damage)
	for _, id := range found.segments {
		b, err := readHead(c.fs, filepath.Join(c.dir, segmentName(id)), segmentHeaderBytes)
		if err != nil {
			continue
		}
		if h, bad := decodeSegmentHeader(b); bad == "" {
			c.id = h.id
			return nil
		}
	}
	return nil
}

// open opens a segment and reads its header. What keeps it from that is damage.
func (c *checker) open(id uint32) (checked, bool) {
	name := filepath.Join(c.dir, segmentName(id))
	f, err := c.fs.OpenRead(name)
	if err != nil {
		c.damaged(&DamageError{File: name, Reason: err.Error()})
		return checked{}, false
	}
	size, err := f.Size()
	s := checked{segment: newSegment(c.dir, id, c.id, f, size)}
	if err == nil {
		err = c.inspect(&s)
	}
	if err != nil {
		c.damaged(s.damage(0, "%v", err))
		_ = f.Close()
		return s, false
	}
	return s, true
}

func (c *checker) inspect(s *checked) error {
	w := newWalker(s.segment)
	b, err := w.at(0, segmentHeaderBytes)
	if err != nil {
		return err
	}
	s.header, s.bad = decodeSegmentHeader(b)
	switch {
	case s.bad != "":
	case s.header.id != c.id:
		s.bad, s.foreign = "it belongs to another store", true
		return nil
	case s.header.segment != s.id:
		s.bad = fmt.Sprintf("it has the header of segment %d", s.header.segment)
	default:
		s.first, s.previous = s.header.first, s.header.previous
		return nil
	}
	s.at, s.number, _, err = w.later(segmentHeaderBytes, s.size, 0)
	return err
}

// walkAll goes through the segments up to the last that is in use.
func (c *checker) walkAll(segments []checked) error {
	known := false // number and length are those of the end of the segment before
	var number uint64
	var length int64
	for i, s := range segments {
		known = known && segments[i-1].id+1 == s.id
		if !s.inUse() {
			c.damaged(s.damage(0, "%s, and segments after it are in use", s.bad))
			known = false
			continue
		}
		if s.foreign {
			c.damaged(s.damage(0, "%s", s.bad))
			known = false
			continue
		}
		c.report.Segments++
		switch {
		case s.bad != "":
			c.damaged(s.damage(0, "%s, and batch %d at %d", s.bad, s.number, s.at))
		case int64(s.header.size) != s.size:
			c.damaged(s.damage(0, "it has %d bytes, want %d", s.size, s.header.size))
		case known && (number != s.first || length != int64(s.previous)):
			c.damaged(s.damage(0, "it begins with batch %d after %d bytes, want batch %d after %d bytes",
				s.first, s.previous, number, length))
		}
		e := ending{at: s.size, last: i+1 == len(segments)}
		if !e.last {
			switch next := segments[i+1]; {
			case next.id != s.id+1:
			case next.bad == "":
				e.at, e.known = min(e.at, int64(next.previous)), true
			default:
				e.next = next.number
			}
		}
		var err error
		if number, length, known, err = c.walk(s, e); err != nil {
			return err
		}
	}
	return nil
}

// ending is what is known of the end of a segment.
type ending struct {
	at    int64  // it is here or before
	known bool   // it is here
	last  bool   // it is the end of the log
	next  uint64 // a later segment begins with this batch; zero if that is not known
}

// walk goes through the batches of a segment. It returns the number and place that the next batch has, and whether
// they are known.
func (c *checker) walk(s checked, e ending) (number uint64, length int64, known bool, err error) {
	w := newWalker(s.segment)
	if s.bad != "" {
		w.offset, w.number = s.at, s.number
	}
	for w.offset < e.at {
		at := w.offset
		v, bad, torn, err := w.next()
		if err == nil && bad == "" {
			c.report.Batches++
			c.report.Records += int(v.records)
			c.report.Bytes += int64(batchHeaderBytes + len(v.data))
			c.report.Clean = v.flags&flagClean != 0
			if err := v.each(c.visit); err != nil {
				return 0, 0, false, err
			}
			continue
		}
		var next int64
		var found, header bool
		if err == nil {
			next, number, found, err = w.later(at, e.at, w.number+1)
		}
		if err == nil && !found {
			header, err = w.headerAt(at)
		}
		switch {
		case err != nil:
			c.damaged(s.damage(at, "%v", err))
			c.report.Clean = false
			return 0, 0, false, nil
		case found:
			which := fmt.Sprintf("batches %d to %d are damaged", w.number, number-1)
			if number-1 == w.number {
				which = fmt.Sprintf("batch %d is damaged", w.number)
			}
			c.damaged(s.damage(at, "%s; %s, batch %d follows at %d", bad, which, number, next))
			if err := c.rescue(w, at+batchHeaderBytes, next); err != nil {
				return 0, 0, false, err
			}
			w.offset, w.number = next, number
			continue
		case e.last && torn && header:
			// The head of a batch and not all of its body: its writing was cut short.
			c.report.Torn, c.report.Clean = s.damage(at, "%s", bad), false
			return w.number, at, true, nil
		case torn && !header && (e.last || !e.known && (e.next == 0 || e.next == w.number)):
			return w.number, at, e.last, nil
		}
		c.damaged(s.damage(at, "%s; batches from %d on are damaged", bad, w.number))
		c.report.Clean = false
		if e.known { // else the last of them, or what a shorter one was written over, may never have been safe
			err = c.rescue(w, at+batchHeaderBytes, e.at)
		}
		return 0, 0, false, err
	}
	return w.number, w.offset, s.bad == "", nil
}

// rescue hands out the records that are good between two places, where batches are damaged that were safe once.
func (c *checker) rescue(w *walker, from, to int64) error {
	begins := true // a record does here, if what is before it is as it was
	for offset := from; offset < to; {
		most := to - offset
		if !begins { // what looks like a length may be anything: few are as long as that
			most = min(most, readBytes)
		}
		rec, ok, err := w.record(offset, most)
		if err != nil {
			return nil // which is known to be damaged
		}
		if begins = ok; !ok {
			offset += alignment
			continue
		}
		c.report.Records++
		if err := c.visit(Pos{Segment: w.id, Offset: uint32(offset)}, rec); err != nil {
			return err
		}
		offset += recordBytes(len(rec))
	}
	return nil
}

func (c *checker) damaged(d *DamageError) { c.report.Damage = append(c.report.Damage, d) }
