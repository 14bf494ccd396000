package bachata

import (
	"context"
	"math/rand/v2"
	"time"
)

// Shutdown drains the center: no new sockets; every client is told to come back (1003), spread over a time that grows
// with their number; nothing new is delivered, while 200s and pongs are still taken, until nothing is outstanding or ctx
// ends. Then all sockets are closed (1001), and Close is called. What was not confirmed waits in its inbox.
// The error is that of ctx, if it ended the wait; Close may take longer.
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
	for _, s := range c.sessions() {
		s.Close(CloseGoingAway, "the server is going away")
	}
	if closeErr := c.Close(); err == nil {
		err = closeErr
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
// as its store takes. Timers that have not fired don't. It may be called twice.
func (c *Center) Close() error {
	c.closing.Store(true)
	c.draining.Store(true)
	for _, s := range c.sessions() {
		s.Close(CloseGoingAway, "the server is going away")
	}
	c.cancel()
	if c.stopWatch != nil {
		defer c.stopWatch()
	}

	c.work.close()
	<-c.work.done
	return nil
}
