package seglog

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/bachata-go/bachata/internal/vfs"
)

// fillBytes of zeros are written and synced at once, so that the syncs of the log needn't wait for a whole segment.
const fillBytes = 1 << 20

// notPreparedError is a failure to prepare a segment that leaves the log as it was, so that it may be tried again.
type notPreparedError struct{ err error }

func (e *notPreparedError) Error() string { return e.err.Error() }
func (e *notPreparedError) Unwrap() error { return e.err }

// wantSpare tells the preparer that there is no spare.
func (l *Log) wantSpare() {
	select {
	case l.prepare <- struct{}{}:
	default:
	}
}

// prepareSpares is the goroutine that keeps one segment prepared.
func (l *Log) prepareSpares() {
	retry := time.NewTimer(retryEvery)
	retry.Stop()
	defer retry.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.prepare:
		case <-retry.C:
		}
		again, err := l.prepareSpare()
		if err != nil {
			l.fail(err)
			return
		}
		if again {
			retry.Reset(retryEvery)
		}
	}
}

// prepareSpare makes a spare if there is none. If that did not work but may later, again is true and l.full says
// what was in the way. An error means that the disk can't be relied on.
func (l *Log) prepareSpare() (again bool, err error) {
	if !l.lacksSpare() {
		return false, nil
	}
	temp := filepath.Join(l.options.Dir, prepareName)
	f, err := l.fill(temp)
	if err == nil && f != nil {
		err = l.adopt(temp, f)
	}
	if err == nil {
		return false, nil
	}
	notPrepared, ok := errors.AsType[*notPreparedError](err)
	if !ok {
		return false, fmt.Errorf("prepare segment: %w", err)
	}
	l.setFull(notPrepared.err)
	return true, nil
}

func (l *Log) lacksSpare() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.spare == nil && l.refusal() == nil
}

// fill makes a file of zeros. It returns no file if a spare has come from elsewhere meanwhile.
func (l *Log) fill(name string) (vfs.File, error) {
	size := l.options.SegmentBytes
	if s, ok := l.fs.(vfs.Space); ok {
		// Don't take what is left from everybody else each time that it is tried.
		if free, ok := s.Free(l.options.Dir); ok && free < size {
			return nil, &notPreparedError{fmt.Errorf("%d bytes are free, a segment needs %d", free, size)}
		}
	}
	f, err := l.fs.Create(name)
	if err != nil {
		// Nothing was written: it may be that there are too many open files.
		return nil, &notPreparedError{err}
	}
	zeros := make([]byte, min(fillBytes, size))
	for at := int64(0); at < size && err == nil; at += int64(len(zeros)) {
		if !l.lacksSpare() {
			return nil, errors.Join(f.Close(), l.fs.Remove(name))
		}
		if _, err = f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err == nil {
			err = f.Sync()
		}
	}
	if err == nil {
		return f, nil
	}
	// The file goes away: that its sync failed does not concern the log.
	_ = f.Close()
	_ = l.fs.Remove(name)
	if vfs.IsFull(err) {
		err = &notPreparedError{err}
	}
	return nil, err
}

// adopt makes the file that was filled the spare, unless there is one by now.
func (l *Log) adopt(name string, f vfs.File) error {
	l.directory.Lock()
	defer l.directory.Unlock()
	if !l.lacksSpare() {
		return errors.Join(f.Close(), l.fs.Remove(name))
	}
	// Without a spare the log can't go on to another segment, so this number stays right.
	s := newSegment(l.options.Dir, l.nextSegment(), l.id, f, l.options.SegmentBytes)
	err := l.fs.Rename(name, s.name)
	if err != nil {
		_ = f.Close()
		if vfs.IsFull(err) {
			err = &notPreparedError{err}
		}
		return err
	}
	if err := l.dir.Sync(); err != nil {
		_ = f.Close()
		return err
	}
	l.setSpare(s)
	return nil
}

// nextSegment returns the number of the segment after the active one.
func (l *Log) nextSegment() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active == nil {
		return 1
	}
	return l.active.id + 1
}

func (l *Log) setSpare(s *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full != nil {
		l.options.Logger.Info("log has room again", "dir", l.options.Dir)
	}
	l.spare, l.full, l.refused = s, nil, false
	l.room.Broadcast()
}

func (l *Log) setFull(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spare != nil {
		return
	}
	if l.full == nil {
		l.options.Logger.Warn("no room for the next segment of the log", "dir", l.options.Dir, "error", cause)
	}
	l.full = fmt.Errorf("%w: %w", ErrFull, cause)
	l.room.Broadcast()
}
