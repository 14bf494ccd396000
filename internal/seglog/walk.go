package seglog

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/bachata-go/bachata/internal/vfs"
)

// readBytes is read at once. Larger batches are read whole.
const readBytes = 1 << 20

// reader reads a file through a window that moves forward.
type reader struct {
	name  string // for errors
	file  vfs.File
	size  int64
	start int64
	buf   []byte
}

// at returns n bytes at offset, fewer only at the end of the file. They are valid until the next call.
func (r *reader) at(offset int64, n int64) ([]byte, error) {
	n = max(0, min(n, r.size-offset))
	if offset < r.start || offset+n > r.start+int64(len(r.buf)) {
		want := min(max(n, readBytes), r.size-offset)
		if int64(cap(r.buf)) < want {
			r.buf = make([]byte, want)
		}
		r.start, r.buf = offset, r.buf[:want]
		got, err := r.file.ReadAt(r.buf, offset)
		r.buf = r.buf[:got]
		if err != nil && (err != io.EOF || int64(got) < n) {
			return nil, fmt.Errorf("read %d bytes at %d of %s: %w", want, offset, r.name, cause(err))
		}
	}
	return r.buf[offset-r.start : offset-r.start+n], nil
}

// walker goes through the batches of a segment.
type walker struct {
	reader
	id     uint32
	salt   uint32
	offset int64  // of the next batch
	number uint64 // that it must have
}

func newWalker(s *segment) *walker {
	return &walker{
		reader: s.reader(),
		id:     s.id,
		salt:   s.salt,
		offset: segmentHeaderBytes,
		number: s.first,
	}
}

// view is a batch that was read and found good.
type view struct {
	batchHeader
	walker *walker
	offset int64 // of its body
	data   []byte
}

// next reads the batch at w.offset and goes past it. If there is none that is good it stays, and bad says why.
// torn is true if that is how a batch may look whose writing was cut short.
func (w *walker) next() (v view, bad string, torn bool, err error) {
	b, err := w.at(w.offset, batchHeaderBytes)
	if err != nil {
		return v, "", false, err
	}
	h, bad := decodeBatchHeader(b, w.salt, w.offset)
	if bad != "" {
		return v, bad, true, nil
	}
	if h.number != w.number {
		return v, fmt.Sprintf("batch %d where batch %d is due", h.number, w.number), false, nil
	}
	if h.body%alignment != 0 {
		return v, fmt.Sprintf("batch %d has %d bytes, want a multiple of %d", h.number, h.body, alignment), false, nil
	}
	body := w.offset + batchHeaderBytes
	b, err = w.at(body, int64(h.body))
	if err != nil {
		return v, "", false, err
	}
	if len(b) < int(h.body) {
		return v, fmt.Sprintf("batch %d has %d bytes where %d are left", h.number, h.body, len(b)), false, nil
	}
	if checksum(w.salt, w.offset, b) != h.bodySum {
		return v, fmt.Sprintf("wrong checksum of batch %d", h.number), true, nil
	}
	v = view{batchHeader: h, walker: w, offset: body, data: b}
	if bad := v.check(); bad != "" {
		return v, bad, false, nil
	}
	w.offset, w.number = body+int64(h.body), h.number+1
	return v, "", false, nil
}

// headerAt reports whether the header of a batch is at offset.
func (w *walker) headerAt(offset int64) (bool, error) {
	b, err := w.at(offset, batchHeaderBytes)
	if err != nil {
		return false, err
	}
	_, bad := decodeBatchHeader(b, w.salt, offset)
	return bad == "", nil
}

// check returns what is wrong with the records.
func (v view) check() string {
	count, data, offset := uint32(0), v.data, v.offset
	for ; len(data) > 0; count++ {
		rec, bad := decodeRecord(data, v.walker.salt, offset)
		if bad != "" {
			return fmt.Sprintf("%s at %d", bad, offset)
		}
		n := recordBytes(len(rec))
		if n > int64(len(data)) {
			return fmt.Sprintf("a record at %d ends outside its batch", offset)
		}
		data, offset = data[n:], offset+n
	}
	if count != v.records {
		return fmt.Sprintf("batch %d has %d records, want %d", v.number, count, v.records)
	}
	return ""
}

// each calls fn for the records.
func (v view) each(fn func(pos Pos, rec []byte) error) error {
	data, offset := v.data, v.offset
	for len(data) > 0 {
		n := int(binary.LittleEndian.Uint32(data[4:]))
		rec := data[recordHeaderBytes : recordHeaderBytes+n : recordHeaderBytes+n]
		if err := fn(Pos{Segment: v.walker.id, Offset: uint32(offset)}, rec); err != nil {
			return err
		}
		data, offset = data[recordBytes(n):], offset+recordBytes(n)
	}
	return nil
}

// record returns the record at offset if there is one that is good, whose place has most bytes at most.
func (w *walker) record(offset, most int64) (rec []byte, ok bool, err error) {
	b, err := w.at(offset, min(recordHeaderBytes, most))
	if err != nil || len(b) < recordHeaderBytes {
		return nil, false, err
	}
	n := int64(binary.LittleEndian.Uint32(b[4:]))
	if n > most-recordHeaderBytes {
		return nil, false, nil
	}
	b, err = w.at(offset, recordHeaderBytes+n)
	if err != nil || int64(len(b)) < recordHeaderBytes+n || checksum(w.salt, offset, b[4:]) != binary.LittleEndian.Uint32(b) {
		return nil, false, err
	}
	return b[recordHeaderBytes:], true, nil
}

// later searches from offset to limit for the header of a batch whose number is at least number, and returns
// its place and number. What users write into records can't look like one: the salt is secret.
func (w *walker) later(offset, limit int64, number uint64) (at int64, found uint64, ok bool, err error) {
	limit = min(limit, w.size)
	for offset+batchHeaderBytes <= limit {
		b, err := w.at(offset, min(readBytes, limit-offset))
		if err != nil {
			return 0, 0, false, err
		}
		last := len(b) - batchHeaderBytes
		if last < 0 {
			break
		}
		for i := 0; i <= last; i += alignment {
			if binary.LittleEndian.Uint32(b[i:]) != batchMagic {
				continue
			}
			h, bad := decodeBatchHeader(b[i:], w.salt, offset+int64(i))
			if bad == "" && h.number >= number {
				return offset + int64(i), h.number, true, nil
			}
		}
		offset += int64(last/alignment+1) * alignment
	}
	return 0, 0, false, nil
}
