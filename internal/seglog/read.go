package seglog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Read returns the record of n bytes at pos. It reads into buf and returns a part of it if buf has room for n+8
// bytes, else into a new slice. The record's ticket must be safe, and its segment not released: reading what is not
// there any more, or not yet, is an error, never wrong content. Errors: *DamageError, ErrNoSegment, ErrClosed, and
// those of the file system.
func (l *Log) Read(pos Pos, n int, buf []byte) ([]byte, error) {
	s := l.segment(pos.Segment)
	if s == nil {
		return nil, fmt.Errorf("segment %d: %w", pos.Segment, ErrNoSegment)
	}
	total := recordHeaderBytes + n
	if n < 0 || int64(pos.Offset)+int64(total) > s.size {
		return nil, s.damage(int64(pos.Offset), "no room for a record of %d bytes", n)
	}
	if cap(buf) < total {
		buf = make([]byte, total)
	}
	buf = buf[:total]
	if err := l.readAt(s, buf, int64(pos.Offset)); err != nil {
		switch {
		case errors.Is(err, fs.ErrClosed) && l.segment(pos.Segment) == nil:
			err = ErrNoSegment
		case errors.Is(err, fs.ErrClosed):
			err = ErrClosed
		case err == io.EOF:
			return nil, s.damage(int64(pos.Offset), "the file ends within a record")
		}
		return nil, fmt.Errorf("read record at %d of segment %d: %w", pos.Offset, pos.Segment, cause(err))
	}
	rec, bad := decodeRecord(buf, s.salt, int64(pos.Offset))
	if bad == "" && len(rec) != n {
		bad = fmt.Sprintf("a record of %d bytes, want %d", len(rec), n)
	}
	if bad != "" {
		if l.segment(pos.Segment) == nil {
			return nil, fmt.Errorf("segment %d: %w", pos.Segment, ErrNoSegment)
		}
		return nil, s.damage(int64(pos.Offset), "%s", bad)
	}
	return rec, nil
}

// readAt reads what is safe, from memory if it is there.
func (l *Log) readAt(s *segment, b []byte, offset int64) error {
	if l.tail.read(s.id, b, offset) {
		return nil
	}
	_, err := s.file.ReadAt(b, offset)
	return err
}

// Scan calls fn for every record of a sealed segment, in order; rec is only valid during the call. An error of fn ends
// it. The segment must not be released meanwhile. Errors as of Read.
func (l *Log) Scan(id uint32, fn func(pos Pos, rec []byte) error) error {
	s, end, err := l.sealed(id)
	if err != nil {
		return err
	}
	w := newWalker(s)
	for w.offset < end {
		at := w.offset
		v, bad, _, err := w.next()
		if err != nil {
			return fmt.Errorf("scan segment %d: %w", id, err)
		}
		if bad != "" {
			return s.damage(at, "%s", bad)
		}
		if err := v.each(fn); err != nil {
			return err
		}
	}
	return nil
}
