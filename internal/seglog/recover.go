package seglog

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// open recovers what is in the directory and makes the log ready to append.
func (l *Log) open(replay func(pos Pos, rec []byte) error) error {
	o := l.options
	if err := o.FS.MkdirAll(o.Dir); err != nil {
		return err
	}
	var err error
	if l.lock, err = lockStore(o.FS, o.Dir); err != nil {
		return err
	}
	if l.dir, err = o.FS.OpenDir(o.Dir); err != nil {
		return err
	}
	found, err := l.openStore()
	if err != nil {
		return err
	}
	segments, unused, err := l.openSegments(found)
	l.replaceSegments(segments)
	l.active = nil
	if err != nil {
		return errors.Join(err, closeAll(unused))
	}
	if err := l.recover(replay, unused); err != nil {
		return errors.Join(err, closeAll(unused))
	}
	if err := l.settle(unused); err != nil {
		return err
	}
	l.wantSpare()
	return nil
}

// openStore reads or makes the store's header and lists the directory.
func (l *Log) openStore() (listing, error) {
	found, err := list(l.fs, l.options.Dir)
	if err != nil {
		return found, err
	}
	var h storeHeader
	if found.store {
		h, err = readStore(l.fs, l.options.Dir)
	} else if len(found.segments) > 0 {
		// The header is safe before the first segment is made.
		err = &DamageError{File: filepath.Join(l.options.Dir, storeName), Reason: "it is missing"}
	} else {
		h, err = createStore(l.fs, l.options.Dir, l.dir)
	}
	l.id = h.id
	return found, err
}

// openSegments opens all segments and tells those in use, which have a header, from those that are not yet.
func (l *Log) openSegments(found listing) (used, unused []*segment, err error) {
	if d := found.gap(l.options.Dir); d != nil {
		return nil, nil, d
	}
	for _, id := range found.segments {
		f, err := l.fs.Open(filepath.Join(l.options.Dir, segmentName(id)))
		if err != nil {
			return used, unused, err
		}
		s := newSegment(l.options.Dir, id, l.id, f, 0)
		unused = append(unused, s)
		if s.size, err = f.Size(); err != nil {
			return used, unused, err
		}
		inUse, err := s.readHeader(l.id)
		if err != nil {
			return used, unused, err
		}
		if !inUse {
			continue
		}
		if len(unused) > 1 {
			return used, unused, unused[0].damage(0, "it has no header, and segment %d has", id)
		}
		unused = unused[:0]
		used = append(used, s)
	}
	if len(used) == 0 && len(unused) > 0 && unused[0].id != 1 {
		return used, unused, unused[0].damage(0, "it has no header, and no segment before it is there")
	}
	return used, unused, nil
}

// readHeader reads the header of a segment. It returns false if there is none that is good: then the segment must not
// hold any batch, which openSegments's callers make sure of.
func (s *segment) readHeader(store storeID) (inUse bool, err error) {
	r := s.reader()
	b, err := r.at(0, segmentHeaderBytes)
	if err != nil {
		return false, err
	}
	h, bad := decodeSegmentHeader(b)
	if bad != "" || h.segment != s.id && h.id == store {
		return false, nil
	}
	if h.id != store {
		return false, s.damage(0, "it belongs to another store")
	}
	if h.version != formatVersion {
		return false, fmt.Errorf("%s: %w %d, this program knows %d", s.name, ErrVersion, h.version, formatVersion)
	}
	if int64(h.size) != s.size {
		return false, s.damage(0, "it has %d bytes, want %d", s.size, h.size)
	}
	s.first, s.previous = h.first, h.previous
	return true, nil
}

// recover replays all segments and finds the end of the log.
func (l *Log) recover(replay func(pos Pos, rec []byte) error, unused []*segment) error {
	segments := *l.segments.Load()
	for _, s := range unused {
		w := newWalker(s)
		at, number, found, err := w.later(segmentHeaderBytes, s.size, 0)
		if err != nil {
			return err
		}
		if found {
			return s.damage(0, "it has no header, and batch %d at %d", number, at)
		}
	}
	l.next, l.offset = 1, segmentHeaderBytes
	for i, s := range segments {
		if i > 0 && (s.first != l.next || int64(s.previous) != l.offset) {
			return s.damage(0, "it begins with batch %d after %d bytes, want batch %d after %d bytes",
				s.first, s.previous, l.next, l.offset)
		}
		var end int64
		if i+1 < len(segments) {
			end = int64(segments[i+1].previous)
			if end < segmentHeaderBytes || end > s.size {
				return segments[i+1].damage(0, "it says that segment %d has %d of %d bytes", s.id, end, s.size)
			}
			s.end = end
		}
		if err := l.recoverSegment(s, end, replay); err != nil {
			return err
		}
	}
	return nil
}

// recoverSegment replays a segment that ends at end or, if that is zero, where its last good batch does.
func (l *Log) recoverSegment(s *segment, end int64, replay func(pos Pos, rec []byte) error) error {
	w := newWalker(s)
	last := int64(0)
	for end == 0 || w.offset < end {
		at := w.offset
		v, bad, torn, err := w.next()
		if err != nil {
			return err
		}
		if bad != "" {
			if end > 0 || !torn {
				return s.damage(at, "%s", bad)
			}
			later, number, found, err := w.later(at, s.size, w.number+1)
			if err != nil {
				return err
			}
			if found {
				return s.damage(at, "%s, and batch %d follows at %d", bad, number, later)
			}
			break
		}
		last, l.clean = at, v.flags&flagClean != 0
		if err := v.each(replay); err != nil {
			return err
		}
	}
	if end > 0 && w.offset != end {
		return s.damage(w.offset, "its last batch ends outside its %d bytes", end)
	}
	l.next, l.offset = w.number, w.offset
	if end > 0 {
		return nil
	}
	return l.rewrite(s, last, w.offset)
}

// rewrite writes the end of the log anew: a process that was killed, or whose sync failed, may have left it in the
// host's memory only, and a sync alone doesn't bring to the disk what an earlier sync failed to.
func (l *Log) rewrite(s *segment, last, end int64) error {
	if err := writeSync(s, s.header(l.id).encode(), 0); err != nil {
		return err
	}
	if last == 0 {
		return nil
	}
	r := s.reader()
	b, err := r.at(last, end-last)
	if err != nil {
		return err
	}
	return writeSync(s, b, last)
}

// settle decides what becomes of the segments that are not in use, removes what was left over, and makes the first
// segment of a new log.
func (l *Log) settle(unused []*segment) error {
	segments := *l.segments.Load()
	l.synced.Store(l.next - 1)
	l.told.Store(l.next - 1)
	if n := len(segments); n > 0 {
		l.active = segments[n-1]
		l.headed.Store(l.active.id)
	}
	var errs []error
	useless := unused[:0:0]
	for _, s := range unused {
		switch {
		case s.size == l.options.SegmentBytes && l.active == nil && s.id == 1:
			l.start(s)
		case s.size == l.options.SegmentBytes && l.active != nil && s.id == l.active.id+1:
			l.spare = s
		default:
			useless = append(useless, s)
		}
	}
	for _, s := range slices.Backward(useless) {
		// The newest first and each made safe, so that no gap is left among those that are there.
		errs = append(errs, s.file.Close(), l.fs.Remove(s.name), l.dir.Sync())
	}
	for _, name := range []string{storeTempName, prepareName} {
		if err := l.fs.Remove(filepath.Join(l.options.Dir, name)); !isMissing(err) {
			errs = append(errs, err)
		}
	}
	// The process before may have been stopped between a change and its sync.
	errs = append(errs, l.dir.Sync())
	if err := errors.Join(errs...); err != nil || l.active != nil {
		return err
	}
	if _, err := l.prepareSpare(); err != nil {
		return err
	}
	if l.spare == nil {
		return l.full
	}
	l.start(l.spare)
	l.spare = nil
	return nil
}

// start makes s the first segment.
func (l *Log) start(s *segment) {
	s.first = l.next
	l.active = s
	l.replaceSegments([]*segment{s})
}

func closeAll(segments []*segment) error {
	var errs []error
	for _, s := range segments {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}
