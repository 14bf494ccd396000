package seglog

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
)

// batch is what is written, synced and recovered as one.
type batch struct {
	number  uint64
	segment *segment
	offset  int64
	records uint32
	flags   uint32
	buf     []byte // room for the header, then the records

	done chan struct{} // closed once it is safe or err is set
	err  error
}

// seal fills in the header.
func (b *batch) seal() {
	body := b.buf[batchHeaderBytes:]
	h := batchHeader{
		bodySum: checksum(b.segment.salt, b.offset, body),
		body:    uint32(len(body)),
		number:  b.number,
		records: b.records,
		flags:   b.flags,
	}
	h.encode(b.buf, b.segment.salt, b.offset)
}

func (b *batch) finish(err error) {
	b.err = err
	close(b.done)
}

// write is the goroutine that writes the batches that nobody leads.
func (l *Log) write() {
	for {
		b := l.take()
		if b == nil {
			return
		}
		l.carryOut(b)
		// Those who were woken append first, so that the next batch holds more than the first of them has to say: with 64
		// appenders 48 records a batch instead of 22, with 1024 950 instead of 340.
		runtime.Gosched()
	}
}

// carryOut writes a batch, which the caller has taken, and lets the next be taken.
func (l *Log) carryOut(b *batch) {
	if err := l.store(b); err != nil {
		b.finish(l.fail(err))
	} else {
		l.synced.Store(b.number)
		if l.options.OnSync != nil {
			l.options.OnSync(Ticket(b.number))
		}
		l.told.Store(b.number)
		b.finish(nil)
	}
	l.recycle(b)
}

// take waits for the next batch; nil ends the writer.
func (l *Log) take() *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.writing {
			l.work.Wait()
			continue
		}
		if l.failed != nil {
			return nil
		}
		l.enqueueIfIdle()
		if len(l.queue) > 0 {
			b := l.queue[0]
			l.queue[0] = nil
			l.queue = l.queue[1:]
			l.writing = true
			return b
		}
		if l.closing {
			return nil
		}
		l.work.Wait()
	}
}

// enqueueIfIdle ends the batch that is being collected if the writer has nothing else to write, and somebody wants it.
func (l *Log) enqueueIfIdle() {
	if len(l.queue) == 0 && l.current != nil && (l.closing || l.current.number <= l.wanted.Load()) {
		l.queue = l.queue[:0]
		l.enqueue()
	}
}

// store makes a batch safe. If it is the first of its segment, the segment's header, which also seals the segment
// before it, is made safe first: then a bad header with batches behind it is damage and never an interrupted write.
func (l *Log) store(b *batch) error {
	s := b.segment
	if s.id != l.headed.Load() {
		if err := l.writeSync(s, s.header(l.id).encode(), 0); err != nil {
			return err
		}
		l.headed.Store(s.id)
	}
	b.seal()
	return l.writeSync(s, b.buf, b.offset)
}

// writeSync makes p safe at the end of what was written.
func (l *Log) writeSync(s *segment, p []byte, offset int64) error {
	done, err := l.tail.write(l.fs, s, p, offset)
	switch {
	case err != nil:
		return fmt.Errorf("write %d bytes at %d of segment %d: %w", len(p), offset, s.id, cause(err))
	case done:
		return nil
	}
	return writeSync(s, p, offset)
}

func writeSync(s *segment, p []byte, offset int64) error {
	if _, err := s.file.WriteAt(p, offset); err != nil {
		return fmt.Errorf("write %d bytes at %d of segment %d: %w", len(p), offset, s.id, cause(err))
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("sync segment %d: %w", s.id, cause(err))
	}
	return nil
}

// cause leaves out the name that a segment's file was made with, which is not the one that it has.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// recycle takes back the buffer of a batch that is safe.
func (l *Log) recycle(b *batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting -= int64(len(b.buf))
	if len(l.buffers) < 2 && cap(b.buf) <= 2*batchBytes {
		l.buffers = append(l.buffers, b.buf)
	}
	b.buf = nil
	l.writing = false
	if l.failed != nil || l.closing || len(l.queue) > 0 || l.current != nil && l.current.number <= l.wanted.Load() {
		l.work.Signal()
	}
	l.room.Broadcast()
}
