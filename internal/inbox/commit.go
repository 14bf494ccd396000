package inbox

import (
	"context"
	"errors"
	"slices"

	"github.com/bachata-go/bachata"
)

// commit writes the changes that were decided and applies them. If it returns an error, nothing happened.
func (e *Engine[R]) commit(now int64, urgent bool) error {
	defer e.ops.Reset()
	return e.write(e.ops.List, now, urgent)
}

// write is commit for some of the changes.
func (e *Engine[R]) write(ops []Op, now int64, urgent bool) error {
	if len(ops) == 0 {
		return nil
	}
	p, err := e.backend.Write(ops, urgent)
	if err != nil {
		return err
	}
	e.book.heard = e.watchers.Any()
	e.book.Apply(ops, p.Ref, p.Segment)
	e.book.Age(now, 32)
	e.Note(p.Ticket)
	for i := range ops {
		op := &ops[i]
		lost := e.limits.Simple && op.Kind == OpRemove && op.Cause != Taken
		if lost || op.Kind == OpGap {
			e.book.SetBarrier(op.Channel, p.Ticket)
		}
	}
	e.wakesFor(ops)
	return nil
}

// repeatsAtOnce is how many receipts of a message that was put again are one commit: with the longest names they are
// less than the smallest segment.
const repeatsAtOnce = 32

// repeat writes what a message that was put again has the origin told once more. It need not be all or nothing: it is
// not answered before all is safe, and may be put again.
func (e *Engine[R]) repeat(now int64) error {
	defer e.ops.Reset()
	for part := range slices.Chunk(e.ops.List, repeatsAtOnce) {
		// What is too large for the store can't be told again; the message is known all the same.
		if err := e.write(part, now, false); err != nil && !errors.Is(err, ErrTooLarge) {
			return err
		}
	}
	return nil
}

// trim takes care of inboxes with more receipts than the bound. If that can't be written now, it is tried again with
// the next receipt.
func (e *Engine[R]) trim(now int64) {
	for e.book.Over() {
		e.ops.Reset()
		e.book.DecideTrim(now, &e.ops)
		if e.commit(now, true) != nil {
			return
		}
	}
}

// expire takes care of what has grown too old in the inbox of channel.
func (e *Engine[R]) expire(ctx context.Context, channel string, now int64, all bool) error {
	for more := true; more; {
		if err := e.ready(ctx, commitBytes); err != nil {
			return err
		}
		e.ops.Reset()
		more = e.book.DecideExpire(channel, now, all, &e.ops)
		if err := e.commit(now, true); err != nil {
			e.book.Undue(channel)
			return err
		}
	}
	e.trim(now)
	return nil
}

// expireToRead is expire for who only reads. If a store that works can't take it now, what has expired stays for a
// while: a disk without a byte left can still be read.
func (e *Engine[R]) expireToRead(ctx context.Context, channel string) error {
	now := e.now()
	if !e.book.Due(channel, now) {
		return nil
	}
	err := e.expire(ctx, channel, now, false)
	if err == nil || ctx.Err() != nil || errors.Is(err, bachata.ErrQueueClosed) {
		return err
	}
	return e.backend.Err()
}
