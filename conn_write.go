package bachata

import (
	"fmt"

	"github.com/gobwas/ws"
)

// AppendFrame appends text as one text frame, compressed if the client takes that and it is long enough.
func (c *conn) AppendFrame(dst, text []byte) []byte {
	if c.compress && len(text) >= c.h.deflater.threshold {
		return c.h.deflater.appendFrame(dst, text)
	}
	return append(appendHeader(dst, ws.OpText, len(text)), text...)
}

// AppendPing appends a ping; a payload of more than 125 bytes is cut. While it is not answered, the heartbeat sends none
// of its own: one ping at a time is enough to hear of the client.
func (c *conn) AppendPing(dst, payload []byte) []byte {
	c.pinged.Store(true)
	return appendControl(dst, ws.OpPing, payload)
}

// Write sends frames. What the kernel does not take at once is kept, up to MaxPending bytes: past it the client has
// stopped reading, and the connection is closed with 4408 behind what is kept.
func (c *conn) Write(frames []byte) error { return c.writeAs(frames, false) }

// answer is Write for answers, which may go out with what is written next.
func (c *conn) answer(frames []byte) error { return c.writeAs(frames, true) }

func (c *conn) writeAs(frames []byte, answers bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.takes(len(frames)) {
		return errSocketClosed
	}
	return c.sendAs(frames, answers)
}

// plain is sharer's.
func (c *conn) plain(n int) bool { return !c.compress || n < c.h.deflater.threshold }

// share is sharer's.
func (c *conn) share(f *held) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.takes(len(f.b)):
		return errSocketClosed
	case c.stream != nil || c.tls != nil:
		return c.send(f.b)
	case c.out == nil && c.hold(f.b, f, false):
		return nil
	}
	return c.write(f.b)
}

// takes reports whether n more bytes may be written; if they are too many, the connection ends. c.mu is held.
func (c *conn) takes(n int) bool {
	if c.closeSent || c.dead {
		return false
	}
	if unsent := c.unsent(); unsent > 0 && unsent+n > c.h.MaxPending {
		c.blame(fmt.Errorf("bachata: %d bytes are unread, the limit is %d", unsent+n, c.h.MaxPending))
		c.sendClose(CloseStopped, "reading too slowly")
		return false
	}
	return true
}

// Close sends a close frame behind what was written, and ends the connection when the client has answered it, or
// after CloseTimeout.
func (c *conn) Close(code CloseCode, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sendClose(code, reason)
	c.settle()
}

// ping asks the client for a sign of life, unless the session has asked it already, or bytes wait for it to read: then
// WriteTimeout watches it, and it is not expected to say anything.
func (c *conn) ping() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unsent() > 0 {
		c.seen.Store(c.h.heart.now.Load())
		return
	}
	c.noteUntaken()
	if !c.closeSent && !c.pinged.Load() {
		b := getBuffer() // pings are all that an idle server does
		defer putBuffer(b)
		*b = appendControl(*b, ws.OpPing, nil)
		_ = c.send(*b)
	}
}

// sendClose sends a close frame, once. c.mu is held.
func (c *conn) sendClose(code CloseCode, reason string) {
	if !c.closeSent {
		_ = c.send(appendClose(nil, code, reason))
		c.release()
		c.closeSent = true
	}
	c.limitClose()
}

// send writes b, or keeps what can't be written now. c.mu is held.
func (c *conn) send(b []byte) error { return c.sendAs(b, false) }

// sendAs is send; answers may be kept longer. c.mu is held.
func (c *conn) sendAs(b []byte, answers bool) error {
	switch {
	case c.dead:
		return errSocketClosed
	case c.stream != nil:
		return c.stream.send(c, b)
	case c.tls != nil:
		w := c.tls.NetConn().(*wire)
		w.answers = answers
		_, err := c.tls.Write(b)
		w.answers = false
		if err != nil {
			c.lose(err)
			return errSocketBroke
		}
		return nil
	}
	return c.put(b, answers)
}

// flushed goes on when nothing waits any more. c.mu is held.
func (c *conn) flushed() {
	if c.end != nil && c.end.timer != nil && !c.closed {
		c.end.timer.Reset(c.h.CloseTimeout) // the client has only now been sent the close frame
	}
	c.settle()
}

// lose gives up writing. What the client sent before it went is still read and handled. c.mu is held.
func (c *conn) lose(err error) {
	if c.dead {
		return
	}
	c.dead = true
	c.blame(err)
	c.drop()
	c.limitClose()
}

// settle does what the closing handshake asks for next, once all is written. c.mu is held.
func (c *conn) settle() {
	end := c.end
	if !c.closeSent || c.unsent() > 0 || c.closed || end.finished {
		return
	}
	if !end.closeSeen && !end.failed {
		return
	}
	end.finished = true
	// Closing now could make the kernel throw away what is still on its way to the client, the close frame for one, should
	// it still be sending: whatever it likes if it has failed, pongs if it was the first to close. Then end our side only,
	// and read until it ends its own.
	if c.dead || end.closeSeen && !end.unasked || !c.closeWrite() && end.closeSeen {
		c.close(nil)
	}
}

// closeWrite ends our side of the stream, and reports whether it could. c.mu is held.
func (c *conn) closeWrite() bool {
	switch {
	case c.stream != nil:
		return c.stream.closeWrite(c)
	case c.tls != nil:
		_ = c.tls.CloseWrite()
	default:
		shutdownWrite(c.fd)
	}
	return true
}

// Buffered returns how many bytes wait for the client to read.
func (c *conn) Buffered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unsent()
}

// unsent returns how many bytes wait for the client to read. c.mu is held.
func (c *conn) unsent() int {
	switch {
	case c.stream != nil:
		return c.stream.unsent
	case c.out != nil:
		return len(c.out.b) - c.out.taken
	default:
		return 0
	}
}
