package bachata

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// hub is what the center knows of a channel that has sockets on this node: one watch on the queue, and its sessions.
type hub struct {
	center  *Center
	channel string
	refs    int // guarded by Center.mu

	watching sync.Mutex // held while the watch is set up
	stops    []func()   // guarded by watching; nil until watched

	mu       sync.Mutex
	sessions []*Session

	simple runner // hands out what a simple queue holds
}

// join adds s to the hub of its channel, and returns when the channel is watched.
func (c *Center) join(s *Session) error {
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return ErrClosing
	}
	h := c.hubs[s.identity.Channel]
	if h == nil {
		h = &hub{center: c, channel: s.identity.Channel}
		c.hubs[h.channel] = h
	}
	h.refs++
	s.hub = h
	h.mu.Lock()
	h.sessions = append(h.sessions, s) // with c.mu held: whoever sets closing then finds s here
	h.mu.Unlock()
	c.mu.Unlock()

	if err := h.watch(); err != nil {
		c.part(s)
		return err
	}
	return nil
}

func (h *hub) watch() error {
	h.watching.Lock()
	defer h.watching.Unlock()
	if h.stops != nil {
		return nil
	}
	stop, err := h.center.queue.Watch(h.channel, h.wake)
	if err != nil {
		return fmt.Errorf("watch channel: %w", err)
	}
	stops := []func(){stop}
	if p, ok := h.center.queue.(Publisher); ok {
		stop, err := p.Subscribe(h.channel, h.show)
		if err != nil {
			stops[0]()
			return fmt.Errorf("subscribe to channel: %w", err)
		}
		stops = append(stops, stop)
	}
	h.stops = stops
	return nil
}

// part removes s from its hub, and the hub with the last of its sessions.
func (c *Center) part(s *Session) {
	h := s.hub
	h.mu.Lock()
	h.sessions = slices.DeleteFunc(h.sessions, func(o *Session) bool { return o == s })
	h.mu.Unlock()

	c.mu.Lock()
	h.refs--
	last := h.refs == 0
	if last {
		delete(c.hubs, h.channel)
	}
	c.mu.Unlock()
	if last {
		h.watching.Lock()
		for _, stop := range h.stops {
			stop()
		}
		h.watching.Unlock()
	}
}

// wake is called by the queue when the channel may hold something new.
func (h *hub) wake(w Wake) {
	if h.center.mode == Simple {
		h.simple.wake(w.Cause, h.center, h)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sessions {
		s.wake(w)
	}
}

// show writes what is not stored to the sockets that are connected now, but for those that are behind with reading: an
// ephemeral message must not cost anybody the connection.
func (h *hub) show(payload []byte) {
	for _, s := range h.ready() {
		if s.backlog() < mostBacklog {
			s.writeText(payload)
		}
	}
}

// ready returns the sessions that were told 1000 (nothing may be written before that) and whose socket still takes
// what it is given.
func (h *hub) ready() []*Session {
	return slices.DeleteFunc(h.list(), func(s *Session) bool { return !s.isReady() })
}

func (h *hub) list() []*Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.sessions)
}

// alone reports whether the channel has one socket on this node.
func (h *hub) alone() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sessions) < 2
}

// confirmed tells the other sessions of the channel what by has taken off the inbox.
func (h *hub) confirmed(by *Session, cursors []Cursor) {
	if len(cursors) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sessions {
		if s != by {
			s.confirmedElsewhere(cursors)
		}
	}
}

// work hands out what a simple queue holds: each item is gone from the queue before it is written, to all sockets of
// the channel on this node (PROTOCOL.md, "Simple mode").
func (h *hub) work() {
	c := h.center
	for {
		sessions := h.ready()
		if len(sessions) == 0 || c.draining.Load() {
			return
		}
		if !slices.ContainsFunc(sessions, func(s *Session) bool { return s.backlog() < mostBacklog }) {
			c.after(minRetry, func(context.Context) { h.simple.kick(c, h) })
			return // what nobody reads is left in the queue
		}
		envelopes, err := c.queue.Fetch(c.ctx, h.channel, 0, fetchLimit)
		if err != nil {
			c.logQueueError("fetch", err)
			c.after(simpleRetry, func(context.Context) { h.simple.kick(c, h) })
			return
		}
		if len(envelopes) == 0 {
			return
		}
		for _, s := range sessions {
			s.writeEnvelopes(envelopes)
		}
	}
}

// hubOf returns the hub of channel, or nil.
func (c *Center) hubOf(channel string) *hub {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hubs[channel]
}

// sessions returns all sessions of this node.
func (c *Center) sessions() []*Session {
	c.mu.Lock()
	hubs := make([]*hub, 0, len(c.hubs))
	for _, h := range c.hubs {
		hubs = append(hubs, h)
	}
	c.mu.Unlock()
	var all []*Session
	for _, h := range hubs {
		all = append(all, h.list()...)
	}
	return all
}
