package inbox

import (
	"context"
	"errors"

	"github.com/bachata-go/bachata"
)

// keysAtOnce is how many keys are taken before the lock is let go: one commit, which stays small.
const keysAtOnce = 256

// PopDelivered is bachata.Queue's.
func (e *Engine[R]) PopDelivered(ctx context.Context, channel, by string, keys []bachata.Key) ([]bachata.Popped, error) {
	b := batch[R]{e: e}
	popped, err := b.PopDelivered(ctx, channel, by, keys)
	if b.ticket == 0 {
		return popped, err
	}
	return popped, errors.Join(err, b.Wait(ctx))
}

// PopDelivered is bachata.Batch's.
func (b *batch[R]) PopDelivered(ctx context.Context, channel, by string, keys []bachata.Key) ([]bachata.Popped, error) {
	popped := make([]bachata.Popped, len(keys))
	var failed error
	took := false
	for done := 0; failed == nil; {
		n := popPart(keys[done:])
		var p pop
		if p, failed = b.e.popKeys(ctx, channel, by, keys[done:done+n], popped[done:done+n]); p.ticket != 0 {
			took, b.ticket = true, p.ticket
			b.news.woken = b.e.rooms.join(b.news.woken, p.woken)
		}
		if done += n; done == len(keys) {
			break
		}
	}
	if !took && failed == nil {
		failed = b.e.backend.Err()
	}
	return popped, failed
}

// popPart returns how many of keys are taken at once. A partial one is taken by itself: those before it come first.
func popPart(keys []bachata.Key) int {
	for i := range keys {
		if Partial(keys[i]) {
			return max(i, 1)
		}
		if i == keysAtOnce {
			return i
		}
	}
	return len(keys)
}

// pop says what is to be waited for when something was taken, and who is to be woken then.
type pop struct {
	ticket uint64
	woken  *wakeups
}

// popKeys takes one part of the keys.
func (e *Engine[R]) popKeys(ctx context.Context, channel, by string, keys []bachata.Key, popped []bachata.Popped) (pop, error) {
	if len(keys) != 1 || !Partial(keys[0]) {
		return e.popSure(ctx, channel, by, keys, popped)
	}
	for {
		seq, _, err := e.locate(ctx, channel, keys[0], false)
		if err != nil || seq == 0 {
			return pop{}, err
		}
		p, err := e.popSure(ctx, channel, by, []bachata.Key{{Cursor: bachata.Cursor(seq)}}, popped)
		if err != nil || popped[0].Found {
			return p, err
		}
		// Somebody else was faster, but there may be another.
	}
}

// popSure takes keys of which none is partial, in one commit.
func (e *Engine[R]) popSure(ctx context.Context, channel, by string, keys []bachata.Key, popped []bachata.Popped) (pop, error) {
	if err := e.enter(ctx); err != nil {
		return pop{}, err
	}
	if err := e.ready(ctx, commitBytes); err != nil {
		e.leave()
		return pop{}, err
	}
	now := e.now()
	e.advance()
	e.book.DecidePop(channel, by, keys, now, e.visible, &e.ops, popped)
	if e.ops.Len() == 0 {
		e.leave()
		return pop{}, nil
	}
	if err := e.commit(now, true); err != nil {
		e.book.Unmark(channel, popped)
		e.leave()
		return pop{}, err
	}
	e.trim(now)
	ticket, woken := e.leaveLater()
	return pop{ticket, woken}, nil
}

// locate returns the number of the first message that a partial key means, 0 if there is none, and the ticket of the
// last commit when it looked. Messages that are not safe count only if all is set. The lock is not held while a
// message is read, unless the store wants that.
func (e *Engine[R]) locate(ctx context.Context, channel string, key bachata.Key, all bool) (seq, ticket uint64, err error) {
	release := e.backend.Hold()
	defer release()
	for {
		if err := e.enter(ctx); err != nil {
			return 0, 0, err
		}
		e.advance()
		visible := e.visible
		if all {
			visible = e.book.Last()
		}
		var env bachata.Envelope
		var unread error
		f, ok := e.book.Seek(channel, key, seq, visible)
		if ok && e.inside {
			unread = e.look(&f, &env)
		}
		ticket, _ = e.leave()
		if !ok {
			return 0, ticket, nil
		}
		if !e.inside {
			unread = e.look(&f, &env)
		}
		if seq = f.Seq; unread != nil {
			continue // what can't be read can't be what is meant
		}
		if (key.From == "" || env.From == key.From) && (key.Dest == "" || env.Dest == key.Dest) {
			return seq, ticket, nil
		}
	}
}

// CheckDelivered is bachata.Queue's.
func (e *Engine[R]) CheckDelivered(ctx context.Context, channel string, key bachata.Key) (bool, error) {
	if err := e.enter(ctx); err != nil {
		return false, err
	}
	if err := e.expireToRead(ctx, channel); err != nil {
		e.leave()
		return false, err
	}
	waits := !Partial(key) && e.book.Waits(channel, key)
	ticket, woken := e.leave()
	var failed error
	if Partial(key) {
		var seq, last uint64
		seq, last, failed = e.locate(ctx, channel, key, true)
		waits, ticket = seq != 0, max(ticket, last)
	}
	if waits && woken == nil {
		return false, e.backend.Err()
	}
	// "Gone" must not be said of what a crash would bring back.
	if err := e.settle(ctx, ticket, news{woken: woken}); err != nil || failed != nil {
		return false, errors.Join(failed, err)
	}
	return !waits, nil
}
