package bachata

import (
	"github.com/gobwas/ws"
)

// take handles bytes of the client, which it changes: they are its own only until it returns.
func (c *conn) take(b []byte) {
	if c.deaf {
		return
	}
	bt := c.h.buffers.arrivals()
	a := c.parts
	if a == nil {
		a = &bt.parts
		a.deflate = c.compress
	}
	b = a.add(b)
	var closing *happening
	for len(b) > 0 && closing == nil {
		hp, n := a.next(b, c.h.maxMessage)
		if hp.packed {
			c.inflate(bt, &hp)
		}
		if hp.fault.code != 0 {
			closing = &happening{fault: hp.fault}
			break
		}
		if n == 0 {
			break
		}
		b = b[n:]
		switch hp.op {
		case ws.OpText:
			bt.texts = append(bt.texts, hp.payload)
		case ws.OpPing:
			bt.control = appendControl(bt.control, ws.OpPong, hp.payload)
		case ws.OpPong:
			c.pinged.Store(false)
			if len(hp.payload) > 0 && c.session != nil {
				c.deliver(bt) // first, for what comes before a pong was sent before it
				c.session.Pong(hp.payload)
			}
		case ws.OpClose:
			closing = &happening{code: hp.code}
		}
	}
	// What came before a close or a fault is handled first, so that it is answered.
	c.deliver(bt)
	if closing == nil {
		a.keep(b)
		c.keep(a, bt)
		c.h.buffers.putArrivals(bt)
		return
	}

	c.deaf, c.parts, bt.parts = true, nil, assembler{}
	c.h.buffers.putArrivals(bt)
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := closing.fault; f.code != 0 {
		c.failed = true
		c.sendClose(f.code, f.reason)
	} else {
		c.closeSeen = true
		c.sendClose(closing.code, "")
	}
	c.settle()
}

// keep has the connection hold a, if there is something in it.
func (c *conn) keep(a *assembler, bt *arrivals) {
	switch {
	case a.empty():
		c.parts, bt.parts = nil, assembler{}
	case c.parts == nil:
		c.parts = new(assembler)
		*c.parts = *a
		bt.parts = assembler{}
	}
}

// takeInput handles what was read into a big pooled buffer, and gives that back.
func (c *conn) takeInput(in *input) {
	if in.n > smallSize {
		c.take(in.buf[:in.n])
		c.h.buffers.putInput(in)
		return
	}
	// Handling may wait for a disk, with a thousand others: each then holds a small buffer, not a big one.
	s := c.h.buffers.small()
	n := copy(s[:], in.buf[:in.n])
	c.h.buffers.putInput(in)
	c.take(s[:n])
	c.h.buffers.putSmall(s)
}

// deliver answers the pings and hands its texts to the session, in one call.
func (c *conn) deliver(bt *arrivals) {
	if len(bt.control) == 0 && len(bt.texts) == 0 {
		return
	}
	c.mu.Lock()
	closing := c.closeSent
	if len(bt.control) > 0 && !closing {
		_ = c.send(bt.control)
	}
	c.mu.Unlock()
	// Behind our close frame nothing could be answered: what comes then is not taken, and its sender sends it again.
	if len(bt.texts) > 0 && c.session != nil && !closing {
		c.session.Receive(bt.texts)
	}
	bt.texts, bt.control = bt.texts[:0], bt.control[:0]
}
