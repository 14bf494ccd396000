package bachata

import (
	"sync/atomic"

	"github.com/gobwas/ws"
)

// take handles bytes of the client, which it changes: they are its own only until it returns.
func (c *conn) take(b []byte) {
	if in := c.begin(b, nil); in != nil {
		in.end()
	}
}

// begin is take but for what has to wait for the queue: it returns what is still to be ended, nil if nothing is.
// inHook is set while the application's code runs.
func (c *conn) begin(b []byte, inHook *atomic.Bool) *intake {
	if c.deaf {
		return nil
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
			c.inflate(bt, &hp, inHook)
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
				bt.proven = c.session.prove(bt.proven, hp.payload)
			}
		case ws.OpClose:
			closing = &happening{code: hp.code}
		}
	}
	in := c.deliver(bt, inHook)
	if closing == nil {
		a.keep(b)
		c.keep(a)
		c.h.buffers.putArrivals(bt)
		return in
	}
	if in != nil {
		in.end() // what came before a close or a fault is answered first
	}

	c.deaf, c.parts = true, nil
	c.h.buffers.putArrivals(bt)
	if c.session != nil && closing.fault.code == 0 {
		c.session.Detach() // it may take the client a while to end its side, and nothing more can be said to it
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := closing.fault; f.code != 0 {
		c.ending().failed = true
		c.sendClose(f.code, f.reason)
	} else {
		c.ending().closeSeen, c.end.unasked = true, !c.closeSent
		c.sendClose(closing.code, "")
	}
	c.settle()
	return nil
}

// keep has the connection hold a, if there is something in it.
func (c *conn) keep(a *assembler) {
	switch {
	case a.empty():
		c.parts = nil
	case c.parts == nil:
		c.parts = new(assembler)
		*c.parts = *a
	}
}

// takeInput is take for what was read into a big pooled buffer, which it gives back.
func (c *conn) takeInput(in *input) {
	if b := c.beginInput(in); b != nil {
		b.end()
	}
}

// beginInput is begin for that.
func (c *conn) beginInput(in *input) *intake {
	if in.n > smallSize {
		defer c.h.buffers.putInput(in)
		return c.begin(in.buf[:in.n], nil)
	}
	// Handling may wait, with a thousand others: each then holds a small buffer, not a big one.
	s := c.h.buffers.small()
	defer c.h.buffers.putSmall(s)
	n := copy(s[:], in.buf[:in.n])
	c.h.buffers.putInput(in)
	return c.begin(s[:n], nil)
}

// deliver answers the pings and hands the texts, and what is proven, to the session, in one call.
func (c *conn) deliver(bt *arrivals, inHook *atomic.Bool) (in *intake) {
	if len(bt.control) == 0 && len(bt.texts) == 0 && len(bt.proven) == 0 {
		return nil
	}
	c.mu.Lock()
	closing := c.closeSent
	if len(bt.control) > 0 && !closing {
		_ = c.send(bt.control)
	}
	c.mu.Unlock()
	if closing {
		// Behind our close frame nothing could be answered: what comes then is not taken, and its sender sends it again.
		clear(bt.texts)
		bt.texts = bt.texts[:0]
	}
	if c.session != nil && len(bt.texts)+len(bt.proven) > 0 {
		in = c.session.begin(bt.texts, bt.proven, inHook)
	}
	clear(bt.texts) // what was used of it: it may be long
	bt.texts, bt.proven, bt.control = bt.texts[:0], bt.proven[:0], bt.control[:0]
	return in
}
