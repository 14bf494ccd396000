package seglog

import (
	"fmt"
	"path/filepath"

	"github.com/bachata-go/bachata/internal/vfs"
)

// segment is an open segment file. Its fields don't change once it is in the log's list, but for end.
type segment struct {
	id   uint32
	salt uint32
	name string // path
	file vfs.File
	size int64 // of the file

	first    uint64 // number of its first batch
	previous uint32 // length of the one before

	end int64 // of its last batch, once there is a later segment; guarded by Log.mu
}

func newSegment(dir string, id uint32, store storeID, file vfs.File, size int64) *segment {
	return &segment{id: id, salt: store.salt(id), name: filepath.Join(dir, segmentName(id)), file: file, size: size}
}

func (s *segment) reader() reader { return reader{name: s.name, file: s.file, size: s.size} }

func (s *segment) header(store storeID) segmentHeader {
	return segmentHeader{
		version:  formatVersion,
		segment:  s.id,
		id:       store,
		first:    s.first,
		previous: s.previous,
		size:     uint32(s.size),
	}
}

func (s *segment) damage(offset int64, format string, args ...any) *DamageError {
	return &DamageError{File: s.name, Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// SegmentInfo describes a segment of a Log.
type SegmentInfo struct {
	ID     uint32
	Bytes  int64 // that hold records and their headers
	Sealed bool  // nothing more is written to it: it can be scanned, and released if it is the oldest
}

// Segments returns the segments that hold records or will next, oldest first. Their IDs are consecutive.
func (l *Log) Segments() []SegmentInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	segments := *l.segments.Load()
	infos := make([]SegmentInfo, len(segments))
	for i, s := range segments {
		infos[i] = SegmentInfo{ID: s.id, Bytes: s.end, Sealed: s.id < l.headed.Load()}
		if s == l.active {
			infos[i].Bytes = l.offset
		}
	}
	return infos
}

// segment returns a segment by its number, or nil.
func (l *Log) segment(id uint32) *segment {
	segments := *l.segments.Load()
	if len(segments) == 0 || id < segments[0].id || int(id-segments[0].id) >= len(segments) {
		return nil
	}
	return segments[id-segments[0].id]
}

// sealed returns a sealed segment and its length.
func (l *Log) sealed(id uint32) (*segment, int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.segment(id)
	if s == nil || s.id >= l.headed.Load() {
		return nil, 0, fmt.Errorf("segment %d: %w", id, ErrNoSegment)
	}
	return s, s.end, nil
}
