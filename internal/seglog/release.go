package seglog

import "fmt"

// Release gives back the oldest segment, which must be sealed, and returns once that is safe from a power cut. Its
// file becomes the next segment or is removed. Errors: ErrNoSegment if it is not the oldest or not sealed, ErrFailed,
// ErrClosed.
func (l *Log) Release(id uint32) error {
	// One removal is safe before the next begins: segments vanish oldest first, whatever happens.
	l.directory.Lock()
	defer l.directory.Unlock()
	s, recycle, err := l.drop(id)
	if err != nil {
		return err
	}
	if !recycle {
		err = l.remove(s)
	} else {
		err = l.reuse(s)
	}
	if err != nil {
		return fmt.Errorf("release segment %d: %w", id, l.fail(err))
	}
	// If the next segment could not be prepared, it may now.
	l.wantSpare()
	return nil
}

// drop takes the oldest segment out of the list and says whether it shall be the spare.
func (l *Log) drop(id uint32) (s *segment, recycle bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.refusal(); err != nil {
		return nil, false, err
	}
	segments := *l.segments.Load()
	if segments[0].id != id || id >= l.headed.Load() {
		return nil, false, fmt.Errorf("release segment %d: %w", id, ErrNoSegment)
	}
	l.replaceSegments(segments[1:])
	return segments[0], l.spare == nil && segments[0].size == l.options.SegmentBytes, nil
}

func (l *Log) remove(s *segment) error {
	if err := l.fs.Remove(s.name); err != nil {
		return err
	}
	if err := l.dir.Sync(); err != nil {
		return err
	}
	_ = s.file.Close() // nothing of it is needed any more
	return nil
}

// reuse makes a released segment the spare. What it holds is void under its new number.
func (l *Log) reuse(s *segment) error {
	spare := newSegment(l.options.Dir, l.nextSegment(), l.id, s.file, s.size)
	if err := l.fs.Rename(s.name, spare.name); err != nil {
		return err
	}
	if err := l.dir.Sync(); err != nil {
		return err
	}
	l.setSpare(spare)
	return nil
}
