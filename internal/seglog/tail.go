package seglog

import (
	"sync"

	"github.com/bachata-go/bachata/internal/vfs"
)

const (
	// tailBytes is how much is kept in memory of what was written last, and half of it what always is.
	tailBytes = 1 << 20
	// directBytes is the largest batch that is written past the host's cache.
	directBytes = tailBytes / 4

	blockMask = vfs.DirectBlock - 1
)

// tail is the end of the log as it was written, in memory. With it a batch is written past the host's cache, where that is
// possible: whole blocks, the first beginning with what was written before, the last ending with zeros. That takes less of a
// processor, and less time, than having the cache written. Since the cache doesn't have it then, what is read soon is read from here.
type tail struct {
	// Of who writes.
	segment *segment       // that was written to last
	file    vfs.DirectFile // its; nil if it can't be written so
	asking  sync.WaitGroup // willRead

	mu   sync.RWMutex // held to change what follows, by who writes
	id   uint32       // of the segment
	base int64        // offset in the segment of buf
	end  int64        // of what is safe; base: nothing is known
	buf  []byte
}

// write makes p safe at offset of s, where what was written before ends. It reports false if that has to be done in another
// way. The caller is the only one who writes.
func (t *tail) write(fs vfs.FS, s *segment, p []byte, offset int64) (done bool, err error) {
	if t.segment != s {
		t.open(fs, s)
	}
	if t.file == nil {
		return false, nil
	}
	if len(p) > directBytes {
		t.willRead(t.base, t.end)
		t.forget()
		return false, nil
	}
	left, err := t.add(p, offset)
	if err != nil {
		return false, err
	}
	t.willRead(left, t.base)
	from, end := blockOf(offset), offset+int64(len(p))
	_, err = t.file.WriteAt(t.buf[from-t.base:blockOf(end+blockMask)-t.base], from)
	if err != nil {
		t.forget()
		if vfs.IsNotDirect(err) {
			t.close()
			return false, nil
		}
		return false, err
	}
	t.mu.Lock()
	t.end = end
	t.mu.Unlock()
	return true, nil
}

// blockOf returns where the block begins that offset is in.
func blockOf(offset int64) int64 { return offset &^ blockMask }

// open goes on to s.
func (t *tail) open(fs vfs.FS, s *segment) {
	if t.file != nil {
		t.willRead(t.base, t.end)
		t.close()
	}
	t.segment = s
	t.forget()
	by, ok := fs.(vfs.Directs)
	if !ok || s.size%vfs.DirectBlock != 0 {
		return
	}
	if f, err := by.OpenDirect(s.name); err == nil {
		t.file = f
	}
}

// close gives the file back. What was written is safe, so nothing can fail.
func (t *tail) close() {
	if t.file != nil {
		_ = t.file.Close()
		t.file = nil
	}
}

// shut gives back all that there is. Read finds then that the log is closed.
func (t *tail) shut() {
	t.close()
	t.forget()
	t.asking.Wait()
}

// forget has everything read from the file, until more is added.
func (t *tail) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.base, t.end = 0, 0
}

// willRead has the host's cache take what is no longer in memory: for who connects some time later, the disk would be searched
// message by message. It does not wait, not even until the disk has time to be asked.
func (t *tail) willRead(from, to int64) {
	if file := t.file; from < to {
		t.asking.Go(func() { file.WillRead(from, to-from) })
	}
}

// add puts p behind what is there, which is read from the file if it is not known, and zeros behind it. What was there from left
// on and is before base now had to leave.
func (t *tail) add(p []byte, offset int64) (left int64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.buf == nil {
		t.buf = vfs.AlignedBytes(tailBytes)
	}
	if t.id != t.segment.id || t.end != offset {
		t.id, t.base = t.segment.id, blockOf(offset)
		t.end = t.base
		if head := t.buf[:offset-t.base]; len(head) > 0 {
			if _, err := t.segment.file.ReadAt(head, t.base); err != nil {
				return 0, err
			}
		}
		t.end = offset
	}
	left = t.base
	if offset+int64(len(p))+blockMask-t.base > tailBytes {
		keep := max(t.base, blockOf(offset-tailBytes/2))
		copy(t.buf, t.buf[keep-t.base:offset-t.base])
		t.base = keep
	}
	to := offset - t.base
	n := to + int64(copy(t.buf[to:], p))
	clear(t.buf[n:blockOf(n+blockMask)])
	return left, nil
}

// read fills b with what is at offset of a segment, and reports whether it could.
func (t *tail) read(id uint32, b []byte, offset int64) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if id != t.id || offset < t.base || offset+int64(len(b)) > t.end {
		return false
	}
	copy(b, t.buf[offset-t.base:])
	return true
}
