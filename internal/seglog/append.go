package seglog

import (
	"context"
	"fmt"
)

// Append adds a record to the batch that is being collected and returns its place, and the ticket to Wait for. It
// copies rec. The order of the calls is the order in the log.
//
// Append never waits for its own record to be written, but it may wait for the writer when that is far behind, and for
// the next segment when that is still being prepared. urgent records may use the room that is kept for them when the
// disk is full. Errors: ErrFull, ErrFailed, ErrClosed, ErrTooLarge.
func (l *Log) Append(rec []byte, urgent bool) (Pos, Ticket, error) {
	pos, t, err := l.Collect(rec, urgent)
	if err == nil {
		l.Flush()
	}
	return pos, t, err
}

// Collect is Append of a record that need not be written yet: it is when somebody waits for it or for a later one, when
// Flush is called, or when there are many.
func (l *Log) Collect(rec []byte, urgent bool) (Pos, Ticket, error) {
	need := recordBytes(len(rec))
	if need > l.maxBody() {
		return Pos{}, 0, fmt.Errorf("append %d bytes: %w, %d is the limit", len(rec), ErrTooLarge, l.MaxRecord())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.place(need, urgent); err != nil {
		return Pos{}, 0, err
	}
	return l.add(rec), Ticket(l.current.number), nil
}

// Ready reports whether an Append of n bytes, urgent or not, would come back at once: with a place, or with the error that
// says why there is none. Only Append and AppendAll make it false again, and a few megabytes of them do not wait yet,
// unless the next segment is missing.
func (l *Log) Ready(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ready(n)
}

// Room returns once Ready(n) is true, or the error of ctx if that ends before.
func (l *Log) Room(ctx context.Context, n int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ready(n) {
		return nil
	}
	if l.current != nil {
		l.flush(l.current.number) // room may come of it
	}
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.room.Broadcast()
	})
	defer stop()
	for !l.ready(n) {
		if err := ctx.Err(); err != nil {
			return err
		}
		l.room.Wait()
	}
	return nil
}

func (l *Log) ready(n int) bool {
	need := recordBytes(n) + batchHeaderBytes
	switch {
	case l.refusal() != nil || need > l.maxBody():
		return true
	case l.next-l.synced.Load() > pendingBatches/2 || l.waiting > pendingBytes/2: // before Append itself waits
		return false
	}
	return l.spare != nil || l.full != nil || l.free()-need >= l.reserve()
}

// AppendAll is Append for several records that are recovered together or not at all. The places go into pos, which is
// nil or at least as long as recs.
func (l *Log) AppendAll(recs [][]byte, urgent bool, pos []Pos) (Ticket, error) {
	var need int64
	for _, rec := range recs {
		need += recordBytes(len(rec))
	}
	if need > l.maxBody() {
		return 0, fmt.Errorf("append %d records of %d bytes: %w, %d is the limit", len(recs), need, ErrTooLarge, l.maxBody())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(recs) == 0 {
		return Ticket(l.next - 1), l.refusal()
	}
	if err := l.place(need, urgent); err != nil {
		return 0, err
	}
	for i, rec := range recs {
		p := l.add(rec)
		if pos != nil {
			pos[i] = p
		}
	}
	l.flush(l.current.number)
	return Ticket(l.current.number), nil
}

// Flush has what was appended so far written soon.
func (l *Log) Flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != nil {
		l.flush(l.current.number)
	}
}

// flush has the batch of the given number written, and all before it. l.mu is held.
func (l *Log) flush(number uint64) {
	if l.wanted.Load() < number {
		l.wanted.Store(number)
		if !l.writing { // else who writes looks for it
			l.work.Signal()
		}
	}
}

// Wait returns nil once what was appended under the ticket is safe. If ctx ends first its error is returned, and the
// record may become safe or not. An error that wraps ErrFailed says that it is not known to be safe.
func (l *Log) Wait(ctx context.Context, t Ticket) error {
	if uint64(t) <= l.told.Load() {
		return nil
	}
	b := l.ring[t%ringSize].Load()
	if b == nil || b.number != uint64(t) {
		// A later batch has taken the slot, which it can only when this one was safe long ago.
		if uint64(t) <= l.told.Load() {
			return nil
		}
		return fmt.Errorf("seglog: ticket %d was never given out", t)
	}
	if l.wanted.Load() < uint64(t) {
		l.mu.Lock()
		l.flush(uint64(t))
		l.mu.Unlock()
	}
	if ctx.Done() == nil {
		<-b.done
		return b.err
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Lead has what was appended under the ticket written by the calling goroutine, if that is what comes next, nothing is being
// written, and nobody has asked for it yet: to wake another goroutine takes longer than many a disk does. It returns when
// that is done, however long it takes, and else at once. Wait is to be called in any case.
func (l *Log) Lead(t Ticket) {
	l.mu.Lock()
	b := l.current
	if l.writing || l.closing || len(l.queue) > 0 || b == nil || b.number != uint64(t) || l.wanted.Load() >= uint64(t) {
		l.mu.Unlock()
		return
	}
	l.wanted.Store(b.number)
	l.waiting += int64(len(b.buf))
	l.current, l.writing = nil, true
	l.mu.Unlock()
	l.carryOut(b)
}

// place makes l.current a batch that has room for need more bytes, or says why there is none.
func (l *Log) place(need int64, urgent bool) error {
	for {
		if err := l.refusal(); err != nil {
			return err
		}
		if l.current != nil && int64(len(l.current.buf))+need > batchBytes {
			l.enqueue()
		}
		total := need
		if l.current == nil {
			if l.next-l.synced.Load() > pendingBatches || l.waiting > pendingBytes {
				l.room.Wait()
				continue
			}
			total += batchHeaderBytes
		}
		if total <= l.free() {
			// Without a spare, what isn't urgent leaves the reserve alone, even while one is being prepared: that may
			// yet end with a full disk.
			if urgent || l.spare != nil || l.free()-total >= l.reserve() {
				if l.current == nil {
					l.begin()
				}
				return nil
			}
		} else if l.spare != nil {
			l.advance()
			continue
		}
		if l.full != nil {
			l.refused = true
			return l.full
		}
		l.room.Wait()
	}
}

// add appends a record to the current batch, which has room for it.
func (l *Log) add(rec []byte) Pos {
	b := l.current
	pos := Pos{Segment: b.segment.id, Offset: uint32(l.offset)}
	b.buf = appendRecord(b.buf, b.segment.salt, l.offset, rec)
	b.records++
	l.offset += recordBytes(len(rec))
	return pos
}

// begin makes a batch at the end of the active segment.
func (l *Log) begin() {
	b := &batch{number: l.next, segment: l.active, offset: l.offset, done: make(chan struct{})}
	if n := len(l.buffers); n > 0 {
		b.buf, l.buffers = l.buffers[n-1], l.buffers[:n-1]
	}
	b.buf = append(b.buf[:0], make([]byte, batchHeaderBytes)...)
	l.ring[b.number%ringSize].Store(b)
	l.current, l.clean = b, false
	l.next++
	l.offset += batchHeaderBytes
}

// enqueue ends the current batch.
func (l *Log) enqueue() {
	if l.current == nil {
		return
	}
	l.work.Signal()
	l.queue = append(l.queue, l.current)
	l.waiting += int64(len(l.current.buf))
	l.current = nil
}

// advance goes on to the spare segment.
func (l *Log) advance() {
	l.enqueue()
	l.active.end = l.offset
	s := l.spare
	s.first, s.previous = l.next, uint32(l.offset)
	l.active, l.offset, l.spare = s, segmentHeaderBytes, nil
	l.replaceSegments(append((*l.segments.Load())[:len(*l.segments.Load()):len(*l.segments.Load())], s))
	l.wantSpare()
}

func (l *Log) replaceSegments(segments []*segment) { l.segments.Store(&segments) }

// free returns the bytes that are left in the active segment; the mark of a clean close always has its room.
func (l *Log) free() int64 { return l.active.size - l.offset - batchHeaderBytes }

func (l *Log) reserve() int64 { return l.options.SegmentBytes / reservePart }

// maxBody returns the largest body of a batch.
func (l *Log) maxBody() int64 {
	return l.options.SegmentBytes - segmentHeaderBytes - 2*batchHeaderBytes
}
