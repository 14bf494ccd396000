package bachata

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// heartbeat finds connections whose other end is gone: it pings the silent ones, and cuts those that stay silent.
// One goroutine serves all connections of a handler, while there are any; a connection has no timer of its own. It
// is looked at about once in a PingInterval: it stands in the slot of a wheel that comes up then.
type heartbeat struct {
	tick     time.Duration
	silence  uint32 // ticks of silence before a ping
	patience uint32 // ticks of silence after it
	off      bool   // no pings; connections are only kept track of
	now      atomic.Uint32

	mu     sync.Mutex
	slots  [64]*conn         // lists
	taking map[*conn]*taking // those whose pong stands behind much output; nil without any
	count  int
	closed bool
	stop   chan struct{} // of the goroutine, nil if it does not run
	empty  chan struct{} // closed when the last connection has gone, if someone waits
}

// set has connections pinged after interval and cut patience later.
func (b *heartbeat) set(interval, patience time.Duration) {
	b.off = interval < 0
	interval = max(interval, time.Millisecond)
	// A tenth of the shorter one, and a second at most: with the defaults, a connection whose other end is gone is
	// found after 37 s at most.
	b.tick = max(time.Millisecond, min(time.Second, interval/10, patience/10))
	b.silence = ticks(interval, b.tick)
	b.patience = ticks(patience, b.tick)
}

func ticks(d, tick time.Duration) uint32 { return uint32((d + tick - 1) / tick) }

// add takes a connection in. It returns false when the handler is shut down.
func (b *heartbeat) add(c *conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	c.seen.Store(b.now.Load())
	b.link(c, b.soon())
	b.count++
	if b.stop == nil && !b.off {
		b.stop = make(chan struct{})
		go b.run(b.stop)
	}
	return true
}

// remove forgets a connection. It is called once for each that add took.
func (b *heartbeat) remove(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answered(c)
	if c.next != nil {
		c.next.prev = c.prev
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		b.slots[c.slot] = c.next
	}
	c.next, c.prev = nil, nil
	if b.count--; b.count > 0 {
		return
	}
	if b.stop != nil {
		close(b.stop)
		b.stop = nil
	}
	if b.empty != nil {
		close(b.empty)
		b.empty = nil
	}
}

// soon returns a delay of four fifths of the silence to all of it, in ticks.
func (b *heartbeat) soon() uint32 { return b.silence - rand.Uint32N(b.silence/5+1) }

// link puts c where it is looked at after delay ticks, or earlier if the wheel is not that big. b.mu is held.
func (b *heartbeat) link(c *conn, delay uint32) {
	delay = max(1, min(delay, uint32(len(b.slots)-1)))
	c.slot = uint8((b.now.Load() + delay) % uint32(len(b.slots)))
	head := &b.slots[c.slot]
	c.prev, c.next = nil, *head
	if *head != nil {
		(*head).prev = c
	}
	*head = c
}

func (b *heartbeat) run(stop chan struct{}) {
	ticker := time.NewTicker(b.tick)
	defer ticker.Stop()
	var silent, late []*conn
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		silent, late = b.beat(silent, late)
	}
}

// beat does what is to be done at one tick. It uses the room of silent and late, and returns it.
func (b *heartbeat) beat(silent, late []*conn) (s, l []*conn) {
	silent, late = b.turn(silent[:0], late[:0])
	for _, c := range silent {
		c.ping()
	}
	for _, c := range late {
		c.late()
	}
	clear(silent)
	clear(late)
	return silent, late
}

// turn goes one tick on and sorts out the connections of that slot: those to ping, and those whose pong is late.
func (b *heartbeat) turn(silent, late []*conn) (s, l []*conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now.Add(1)
	head := &b.slots[now%uint32(len(b.slots))]
	c := *head
	*head = nil
	for c != nil {
		next := c.next
		seen := c.seen.Load()
		if c.busy() {
			seen = now
		}
		age := now - seen
		if c.asked && int32(seen-c.askedAt) >= 0 {
			c.asked = false
			b.answered(c)
		}
		switch left := int32(b.due(c) - now); {
		case c.asked && left <= 0:
			late = append(late, c)
			b.link(c, b.patience)
		case c.asked:
			b.link(c, uint32(left))
		case age >= b.silence-b.silence/5:
			c.asked, c.askedAt = true, now
			silent = append(silent, c)
			b.link(c, b.patience)
		default:
			b.link(c, b.soon()-age)
		}
		c = next
	}
	return silent, late
}

// Shutdown ends what Center.Shutdown has left: it takes no more connections, closes those that are open with 1001, and
// waits until the last has gone and its OnClose has returned. When ctx ends first, it cuts them and returns an error that
// wraps that of ctx. A hook that has not returned a second after that is left to itself.
func (h *Handler) Shutdown(ctx context.Context) error {
	h.once.Do(h.setUp)
	if h.setupErr != nil {
		return nil
	}
	conns, empty := h.heart.close()
	for _, c := range conns {
		c.Close(CloseGoingAway, "the server is going away")
	}
	var err error
	select {
	case <-empty:
	case <-ctx.Done():
		err = ctx.Err()
		for _, c := range conns {
			c.cut(errShutdown)
		}
	}
	gone := make(chan struct{})
	go func() {
		<-empty
		h.helpers.Wait()
		close(gone)
	}()
	last, cancel := lastly(ctx)
	defer cancel()
	if stuck := awaitLast(last, gone); stuck != nil {
		return stuck
	}
	return err
}

// close takes no more connections. It returns those that there are, and what is closed when they have gone.
func (b *heartbeat) close() (conns []*conn, empty <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.empty == nil {
		b.empty = make(chan struct{})
	}
	done := b.empty
	for i := range b.slots {
		for c := b.slots[i]; c != nil; c = c.next {
			conns = append(conns, c)
		}
	}
	if b.count == 0 {
		close(b.empty)
		b.empty = nil
	}
	return conns, done
}
