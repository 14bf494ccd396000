package inbox

import (
	"context"
	"time"
)

// sweepInboxes is how many inboxes a sweep looks through before it lets go of the lock.
const sweepInboxes = 32

func (e *Engine[R]) sweeper() {
	tick := time.NewTicker(e.limits.Sweep)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
			e.Sweep()
		}
	}
}

// Sweep looks through all inboxes for what has expired, and through what is remembered for what need not be any more.
func (e *Engine[R]) Sweep() {
	var channels []string
	e.With(func(b *Book[R]) {
		b.Discard()
		channels = b.Channels()
	})
	for len(channels) > 0 {
		n := min(sweepInboxes, len(channels))
		if !e.sweep(channels[:n]) {
			return
		}
		channels = channels[n:]
	}
	for more := true; more; {
		e.With(func(b *Book[R]) { more = !e.closed && b.Age(e.now(), 2048) })
	}
}

// sweep looks through some inboxes and reports whether to go on. What fails is found again by the next sweep.
func (e *Engine[R]) sweep(channels []string) bool {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return false
	}
	now := e.now()
	failed := false
	for _, channel := range channels {
		failed = e.expire(context.Background(), channel, now, true) != nil || failed
		e.book.Shrink(channel)
	}
	ticket, woken := e.leave()
	if woken != nil && e.backend.Wait(context.Background(), ticket) == nil {
		e.wakeUncaused(woken)
	}
	return !failed
}
