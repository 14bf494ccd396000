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
	b = c.add(b)
	var closing *happening
	for len(b) > 0 && closing == nil {
		hp, n := c.assembler.next(b, c.h.maxMessage)
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
	c.h.buffers.putArrivals(bt)
	if closing == nil {
		c.keep(b)
		return
	}

	c.deaf, c.assembler = true, assembler{}
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
