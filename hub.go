package bachata

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// registry finds the hub of a channel. It is in parts, so that many cores can look at once.
type registry struct {
	seed  maphash.Seed
	parts [64]registryPart
}

type registryPart struct {
	mu   sync.RWMutex
	hubs map[string]*hub
}

func (r *registry) part(channel string) *registryPart {
	return &r.parts[maphash.String(r.seed, channel)%uint64(len(r.parts))]
}

// hub is what the center knows of a channel that has sockets on this node: its sessions, and a watch on the queue if
// the queue has to be told of each.
type hub struct {
	center  *Center
	channel string
	refs    atomic.Int32 // sessions, and work under way; it comes to 0 under the lock of the part of the registry, and stays there
	simple  runner       // hands out what a simple queue holds

	watching sync.Mutex // held while the watch is set up
	stop     func()     // guarded by watching; nil until watched

	mu    sync.Mutex
	first *Session // and behind it the others, by Session.next
}

// join adds s to the hub of channel, and returns when the channel is watched.
func (c *Center) join(s *Session, channel string) error {
	part := c.registry.part(channel)
	part.mu.Lock()
	if c.closing.Load() {
		part.mu.Unlock()
		return ErrClosing
	}
	h := part.hubs[channel]
	if h == nil {
		h = &hub{center: c, channel: channel}
		if part.hubs == nil {
			part.hubs = make(map[string]*hub)
		}
		part.hubs[h.channel] = h
	}
	h.refs.Add(1)
	s.hub = h
	h.add(s) // with the lock of the part held: whoever sets closing then finds s here
	part.mu.Unlock()

	if err := h.watch(); err != nil {
		c.depart(s)
		return err
	}
	return nil
}

func (h *hub) add(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := &h.first
	for *last != nil && h.center.mode == Simple {
		last = &(*last).next // in the order in which they came
	}
	s.next = *last
	*last = s
}

func (h *hub) remove(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for at := &h.first; *at != nil; at = &(*at).next {
		if *at == s {
			*at, s.next = s.next, nil
			return
		}
	}
}

// watched is the stop of a hub that the queue need not be told of.
func watched() {}

func (h *hub) watch() error {
	c := h.center
	h.watching.Lock()
	defer h.watching.Unlock()
	if h.stop != nil {
		return nil
	}
	stop, err := watched, error(nil)
	if c.stopWatch == nil {
		if stop, err = c.queue.Watch(h.channel, h.Wake); err != nil {
			return fmt.Errorf("watch channel: %w", err)
		}
	}
	if p, ok := c.queue.(Publisher); ok {
		unsubscribe, err := p.Subscribe(h.channel, h.show)
		if err != nil {
			stop()
			return fmt.Errorf("subscribe to channel: %w", err)
		}
		unwatch := stop
		stop = func() {
			unwatch()
			unsubscribe()
		}
	}
	h.stop = stop
	return nil
}

// depart removes s from its hub, and the hub with the last of its sessions.
func (c *Center) depart(s *Session) {
	s.hub.remove(s)
	s.hub.release()
}

// hold keeps h the hub of its channel until release, unless it was given up before.
func (h *hub) hold() bool {
	for {
		n := h.refs.Load()
		if n == 0 {
			return false
		}
		if h.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release gives h up if nobody else needs it.
func (h *hub) release() {
	for n := h.refs.Load(); n > 1; n = h.refs.Load() {
		if h.refs.CompareAndSwap(n, n-1) {
			return
		}
	}
	part := h.center.registry.part(h.channel)
	part.mu.Lock()
	last := h.refs.Add(-1) == 0
	if last {
		delete(part.hubs, h.channel)
	}
	part.mu.Unlock()
	if last {
		h.watching.Lock()
		defer h.watching.Unlock()
		if h.stop != nil {
			h.stop()
		}
	}
}

// watcher finds who is woken for channel.
func (c *Center) watcher(channel string) Watcher {
	if h := c.hubOf(channel); h != nil {
		return h
	}
	return nil
}

// Wake is called by the queue when the channel may hold something new.
func (h *hub) Wake(w Wake) {
	if h.center.mode == Simple {
		h.simple.wake(w.Cause, h.center, h)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := h.first; s != nil; s = s.next {
		s.wake(w)
	}
}

// show writes what is not stored to the sockets that are connected now, but for those that are behind with reading: an
// ephemeral message must not cost anybody the connection.
func (h *hub) show(payload []byte) {
	for _, s := range h.ready(nil) {
		if s.backlog() < mostBacklog {
			s.writeText(payload)
		}
	}
}

// ready appends to list the sessions that were told 1000 (nothing may be written before that) and whose socket still
// takes what it is given.
func (h *hub) ready(list []*Session) []*Session {
	return slices.DeleteFunc(h.list(list), func(s *Session) bool { return !s.isReady() })
}

// list appends the sessions to list.
func (h *hub) list(list []*Session) []*Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := h.first; s != nil; s = s.next {
		list = append(list, s)
	}
	return list
}

// alone reports whether the channel has one socket on this node.
func (h *hub) alone() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.first == nil || h.first.next == nil
}

// confirmed tells the other sessions of the channel what by has taken off the inbox.
func (h *hub) confirmed(by *Session, cursors []Cursor) {
	if len(cursors) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := h.first; s != nil; s = s.next {
		if s != by {
			s.confirmedElsewhere(cursors)
		}
	}
}

// work hands out what a simple queue holds: each item is gone from the queue before it is written, to all sockets of
// the channel on this node (PROTOCOL.md, "Simple mode"). If the last of them leaves meanwhile, whoever comes next is of
// the same hub, and gets what is just being read.
func (h *hub) work(d *delivery) {
	if h.hold() {
		defer h.release()
		h.handOut(d)
	}
}

func (h *hub) handOut(d *delivery) {
	c := h.center
	var room [2]*Session
	for {
		sessions := h.ready(room[:0])
		if len(sessions) == 0 || c.draining.Load() {
			return
		}
		if !slices.ContainsFunc(sessions, func(s *Session) bool { return s.backlog() < mostBacklog }) {
			c.hubRetries.after(minRetry, h)
			return // what nobody reads is left in the queue
		}
		envelopes := c.left.take(h.channel)
		if envelopes == nil {
			var err error
			if envelopes, err = c.queue.Fetch(c.ctx, h.channel, 0, fetchLimit); err != nil {
				c.queueFailed("fetch", err)
				c.hubRetries.after(simpleRetry, h)
				return
			}
			c.queueAnswered("fetch")
		}
		if len(envelopes) == 0 {
			return
		}
		// Who came meanwhile gets it too: of the others some may be just going, and it is gone from the queue.
		written := false
		for _, s := range h.ready(nil) {
			written = s.writeHandedOut(envelopes, d) || written
		}
		if !written {
			c.giveBack(h.channel, envelopes)
			return // who comes next has it handed out
		}
		if envelopes[len(envelopes)-1].Last {
			return
		}
	}
}

// hubRetries are the hubs that look again, after a while, what a simple queue holds: one timer each, however often they are
// woken meanwhile.
type hubRetries struct {
	mu   sync.Mutex
	hubs map[*hub]bool // nil until one has to
}

func (r *hubRetries) after(d time.Duration, h *hub) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hubs[h] {
		return
	}
	if r.hubs == nil {
		r.hubs = make(map[*hub]bool)
	}
	r.hubs[h] = true
	h.center.after(d, func(context.Context) {
		r.mu.Lock()
		delete(r.hubs, h)
		r.mu.Unlock()
		h.simple.kick(h.center, h)
	})
}

// hubOf returns the hub of channel, or nil.
func (c *Center) hubOf(channel string) *hub {
	part := c.registry.part(channel)
	part.mu.RLock()
	defer part.mu.RUnlock()
	return part.hubs[channel]
}

// sessions returns all sessions of this node.
func (c *Center) sessions() []*Session {
	var all []*Session
	for i := range c.registry.parts {
		all = append(all, c.registry.parts[i].sessions()...)
	}
	return all
}

// sessions returns the sessions of the part's channels.
func (p *registryPart) sessions() []*Session {
	p.mu.RLock()
	defer p.mu.RUnlock()
	all := make([]*Session, 0, len(p.hubs))
	for _, h := range p.hubs {
		all = h.list(all)
	}
	return all
}
