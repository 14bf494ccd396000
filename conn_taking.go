package bachata

// taking is what the heartbeat keeps of a connection that is pinged while the kernel keeps so much for its client that
// the pong may well come late: the ping stands behind all of that. As long as the client takes of it what it would have to
// take of what we keep, 64 KiB in a WriteTimeout, its answer is waited for.
//
// Only what stands before the ping counts. So a client that answers nothing is cut at last, whatever it takes: each
// PongTimeout more has cost it so much of what one buffer of the kernel holds.
type taking struct {
	taken uint64 // bytes, since the connection began, when that was looked at last
	all   uint64 // when the client has taken what the ping stands behind
	due   uint32 // when it is looked at next, in ticks
}

// leastTaken returns how many bytes a client has to take in a PongTimeout, of what waits for it.
func (h *Handler) leastTaken() uint64 {
	return max(1, uint64(flushSize*(float64(h.PongTimeout)/float64(h.WriteTimeout))))
}

// noteUntaken notes how much the kernel keeps for a client that is about to be pinged. If it is less than the client has
// to take until the pong is due, there is nothing to note. c.mu is held.
func (c *conn) noteUntaken() {
	if n := c.ask(untaken); n >= c.h.leastTaken() {
		done := c.ask(taken)
		c.h.heart.expect(c, done, done+n)
	}
}

// late is called when the client has not answered a ping in time. It is cut, unless it takes what stands before that.
func (c *conn) late() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.h.heart.extend(c, c.ask(taken), c.h.leastTaken()) {
		c.abort(errSilent)
	}
}

// ask returns what the kernel says of the descriptor; nothing if that can't be had. c.mu is held.
func (c *conn) ask(what func(fd uintptr) uint64) uint64 {
	switch {
	case c.closed:
		return 0
	case c.stream != nil:
		return c.stream.ask(what)
	default:
		return what(uintptr(c.fd))
	}
}

// expect has the pong of c waited for while its client goes on to take what stands before the ping: all, of which it has
// taken some already. c has not gone.
func (b *heartbeat) expect(c *conn, done, all uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.taking == nil {
		b.taking = make(map[*conn]*taking)
	}
	b.taking[c] = &taking{taken: done, all: all, due: c.askedAt + b.patience}
}

// extend has the pong of c waited for once more, if its client has taken at least so much since that was looked at last.
func (b *heartbeat) extend(c *conn, done, least uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.taking[c]
	if t == nil {
		return false
	}
	if done = min(done, t.all); done < t.taken+least {
		return false
	}
	t.taken, t.due = done, b.now.Load()+b.patience
	return true
}

// due returns when the pong of c is late. b.mu is held.
func (b *heartbeat) due(c *conn) uint32 {
	if t := b.taking[c]; t != nil {
		return t.due
	}
	return c.askedAt + b.patience
}

// answered forgets what c was to take. b.mu is held.
func (b *heartbeat) answered(c *conn) {
	if b.taking == nil {
		return
	}
	if delete(b.taking, c); len(b.taking) == 0 {
		b.taking = nil
	}
}
