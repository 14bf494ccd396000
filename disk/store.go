package disk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
	"github.com/bachata-go/bachata/internal/seglog"
)

// ref is the place of a record: 12 bytes without a pointer.
type ref struct {
	segment, offset uint32
	size            uint32 // of the record in bytes
}

func (r ref) pos() seglog.Pos { return seglog.Pos{Segment: r.segment, Offset: r.offset} }

// recordOverhead is what a record takes in the log besides its own bytes, rounded up.
const recordOverhead = 16

// store is the inbox.Backend that keeps everything in a log.
type store struct {
	log     *seglog.Log
	buf     []byte // of Write; under the engine's lock
	written int64  // bytes since the reclaimer was called; under the engine's lock
	total   int64  // bytes since the queue was opened; under the engine's lock
	moved   int64  // of those, what the reclaimer wrote; under the engine's lock
	every   int64  // how many bytes may be written before it is called again
	kick    chan struct{}

	// readers is held for reading from before a reference is fetched until it was read. To be sure that nobody still
	// reads by references that were moved, the reclaimer takes it for writing, and lets go.
	readers sync.RWMutex
	release func()

	decoders sync.Pool
	recent   recent
}

func newStore(segmentBytes int64) *store {
	s := &store{kick: make(chan struct{}, 1), every: segmentBytes / 8}
	s.release = s.readers.RUnlock
	s.decoders.New = func() any { return new(decoder) }
	return s
}

// Write appends the commit to the log, which is told by Flush or Wait to write it.
func (s *store) Write(ops []inbox.Op, urgent bool) (inbox.Place[ref], error) {
	s.buf = appendOps(s.buf[:0], ops)
	pos, ticket, err := s.log.Collect(s.buf, urgent)
	if err != nil {
		return inbox.Place[ref]{}, storeError(err)
	}
	size := len(s.buf)
	if cap(s.buf) > 1<<20 {
		s.buf = nil
	}
	s.total += int64(size) + recordOverhead
	if s.written += int64(size) + recordOverhead; s.written >= s.every {
		s.written = 0
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
	place := inbox.Place[ref]{
		Ref:     ref{pos.Segment, pos.Offset, uint32(size)},
		Segment: pos.Segment,
		Ticket:  uint64(ticket),
	}
	if op := &ops[0]; len(ops) == 1 && op.Kind == inbox.OpPut && op.Put.Origin != "" && !op.Put.NoReceipt && !op.Put.ID.IsZero() {
		s.recent.note(place.Ref, op.Put)
	}
	return place, nil
}

// Flush has what was appended written.
func (s *store) Flush() { s.log.Flush() }

// Ready reports whether the log would take n bytes at once.
func (s *store) Ready(n int) bool { return s.log.Ready(n) }

// Room waits for that.
func (s *store) Room(ctx context.Context, n int) error { return s.log.Room(ctx, n) }

// Wait returns once the commit is synced.
func (s *store) Wait(ctx context.Context, ticket uint64) error {
	err := s.log.Wait(ctx, seglog.Ticket(ticket))
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	return storeError(err)
}

// Lead has the commit synced by the caller, if nothing is being synced.
func (s *store) Lead(ticket uint64) { s.log.Lead(seglog.Ticket(ticket)) }

// Synced returns the last ticket that is synced.
func (s *store) Synced() uint64 { return uint64(s.log.Synced()) }

// Err returns why the log stopped, if it did. A full disk can still be read.
func (s *store) Err() error {
	err := s.log.Err()
	if err == nil || errors.Is(err, seglog.ErrFull) && !errors.Is(err, seglog.ErrFailed) {
		return nil
	}
	return storeError(err)
}

// Hold keeps what is fetched from now on where it is until release is called.
func (s *store) Hold() (release func()) {
	s.readers.RLock()
	return s.release
}

// Read reads the record of a message, or of what a receipt is about.
func (s *store) Read(f *inbox.Found[ref], e *bachata.Envelope) error {
	if f.Kind == bachata.KindReceipt {
		var known bool
		if e.ID, e.Dest, known = s.recent.find(f.Ref); known {
			return nil
		}
	}
	rec, err := s.log.Read(f.Ref.pos(), int(f.Ref.size), nil)
	if err != nil {
		return storeError(err)
	}
	d := s.decoders.Get().(*decoder)
	defer func() {
		d.forget()
		s.decoders.Put(d)
	}()
	ops, err := d.decode(rec)
	if err != nil {
		return s.malformed(f.Ref, err)
	}
	for i := range ops {
		switch op := &ops[i]; {
		case op.Kind == inbox.OpPut && f.Kind == bachata.KindMessage:
			e.ID, e.From, e.Dest, e.Payload = op.Put.ID, op.Put.From, op.Put.Dest, op.Put.Payload
			return nil
		case op.Kind == inbox.OpPut: // the caller may keep a receipt: not with the whole message
			e.ID, e.Dest = cloneID(op.Put.ID), strings.Clone(op.Put.Dest)
			return nil
		case op.Kind == inbox.OpReceipt && f.Kind == bachata.KindReceipt && op.Seq == f.Seq:
			e.ID, e.Dest = cloneID(op.ID), strings.Clone(op.Dest)
			return nil
		}
	}
	return s.malformed(f.Ref, errors.New("it holds another message"))
}

func cloneID(id bachata.ID) bachata.ID {
	return bachata.ID{Text: strings.Clone(id.Text), Number: id.Number}
}

func (s *store) malformed(r ref, err error) error {
	return fmt.Errorf("disk: %w: record at offset %d of segment %d: %w", bachata.ErrUnavailable, r.offset, r.segment, err)
}

// storeError makes an error of the log one of the contract's.
func storeError(err error) error {
	switch {
	case errors.Is(err, seglog.ErrTooLarge):
		return fmt.Errorf("disk: %w: %w", inbox.ErrTooLarge, err)
	case errors.Is(err, seglog.ErrFailed):
		return fmt.Errorf("disk: %w: stopped for good by an I/O error, open it again: %w", bachata.ErrUnavailable, err)
	case errors.Is(err, seglog.ErrFull):
		return fmt.Errorf("disk: %w: the disk is full: %w", bachata.ErrUnavailable, err)
	case errors.Is(err, seglog.ErrClosed):
		return fmt.Errorf("disk: %w", bachata.ErrQueueClosed)
	}
	return fmt.Errorf("disk: %w: %w", bachata.ErrUnavailable, err)
}
