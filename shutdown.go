package bachata

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// lastWait is how long a Shutdown waits, once its context has ended, for what it can only ask to end: hooks, routes, and a
// queue that is making something safe.
const lastWait = time.Second

// errStuck says that something has not ended when it was asked to.
var errStuck = errors.New("a hook, a route or the queue has not returned")

// lastly returns a context that ends lastWait after ctx, and whose cause then says what both mean.
func lastly(ctx context.Context) (last context.Context, cancel func()) {
	last, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(lastWait, func() { end(fmt.Errorf("%w: %w", errStuck, ctx.Err())) })
	})
	return last, func() {
		stop()
		end(nil)
	}
}

// awaitLast returns when done is closed, or last ends; then its error is the cause.
func awaitLast(last context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-last.Done():
		return context.Cause(last)
	}
}

// Shutdown drains the center: no new sockets; every client is told to come back (1003), spread over a time that grows
// with their number; nothing new is delivered, while 200s and pongs are still taken, until nothing is outstanding or ctx
// ends. Then all sockets are closed (1001), and Close is called. What was not confirmed waits in its inbox.
//
// If ctx ended the wait, the error wraps that of ctx. A hook, a route or a queue that has not returned a second after
// that is left to itself, and neither Shutdown nor Close waits for it.
func (c *Center) Shutdown(ctx context.Context) error {
	c.closing.Store(true)
	c.draining.Store(true)

	sessions := c.sessions()
	spread := min(maxSpread, time.Duration(len(sessions))*time.Millisecond)
	for _, s := range sessions {
		if !s.isReady() {
			continue // it is closed below
		}
		wait := 100*time.Millisecond + rand.N(spread+1)
		s.writeTransport(&Transport{Code: CodeGoingAway, ReconnectMillis: wait.Milliseconds()})
		s.pingIfDue()
	}
	err := c.settle(ctx)
	last, cancel := lastly(ctx)
	defer cancel()
	c.stop()
	c.putLeftBack(last) // what there is already, in case that the rest is stuck
	if awaitLast(last, c.work.done) != nil {
		c.work.end()
	}
	c.end(last)
	if stuck := context.Cause(last); stuck != nil {
		return stuck
	}
	return err
}

// settle waits until no session has anything outstanding.
func (c *Center) settle(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		outstanding := 0
		for _, s := range c.sessions() {
			outstanding += s.outstanding()
		}
		if outstanding == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Close ends the center: sockets are closed (1001), what runs is asked to stop by its context and waited for,
// routes and post-processing included: neither may call it. A Batch that is just making something safe is waited for as long
// as its store takes (Shutdown waits for less). Timers that have not fired don't. It may be called twice.
func (c *Center) Close() error {
	c.stop()
	<-c.work.done
	c.end(context.Background())
	return nil
}

// end is what is left to do when nothing runs any more.
func (c *Center) end(ctx context.Context) {
	c.putLeftBack(ctx)
	if c.stopWatch != nil {
		c.stopWatch()
	}
}

// stop is Close, but for waiting.
func (c *Center) stop() {
	c.closing.Store(true)
	c.draining.Store(true)
	for _, s := range c.sessions() {
		s.Close(CloseGoingAway, "the server is going away")
	}
	c.cancel()
	c.work.close()
}
