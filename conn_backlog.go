package bachata

import (
	"syscall"
	"time"
)

// backlog is what the client of a polled connection has not taken yet. It exists only while there is something.
type backlog struct {
	b     []byte
	taken int // bytes at the start of b that are written
	// The client has WriteTimeout for each 64 KiB: until due for what is left of them.
	timer *time.Timer
	due   time.Time
	chunk int
}

// put writes b to the descriptor, later if that can wait. c.mu is held.
func (c *conn) put(b []byte, answers bool) error {
	if c.out == nil && c.hold(b, nil, answers) {
		return nil
	}
	return c.write(b)
}

// write writes b to the descriptor, or keeps what the kernel does not take now. c.mu is held.
func (c *conn) write(b []byte) error {
	if c.out == nil {
		n, err := writeNow(c.fd, b)
		if err != nil && err != syscall.EAGAIN {
			c.lose(err)
			return errSocketBroke
		}
		if b = b[n:]; len(b) == 0 {
			return nil
		}
		if err := c.h.poller.watchOutput(c.fd); err != nil {
			c.lose(err)
			return errSocketBroke
		}
		c.out = &backlog{due: time.Now().Add(c.h.WriteTimeout), chunk: flushSize}
		c.out.timer = time.AfterFunc(c.h.WriteTimeout, c.overdue)
	}
	o := c.out
	if o.taken > len(o.b)/2 {
		o.b = o.b[:copy(o.b, o.b[o.taken:])]
		o.taken = 0
	}
	o.b = append(o.b, b...)
	return nil
}

// writable writes what waits, as much as the kernel takes.
func (c *conn) writable() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeOut()
}

// writeOut is writable. c.mu is held.
func (c *conn) writeOut() {
	o := c.out
	if o == nil || c.dead {
		return
	}
	n, err := writeNow(c.fd, o.b[o.taken:])
	if err != nil && err != syscall.EAGAIN {
		c.lose(err)
		return
	}
	o.taken += n
	if o.chunk -= n; o.chunk <= 0 {
		o.chunk = flushSize
		o.due = time.Now().Add(c.h.WriteTimeout)
	}
	unsent := c.unsent()
	if unsent == 0 {
		c.drop()
	}
	if unsent <= pauseAt {
		c.resume()
	}
	if unsent == 0 {
		c.flushed()
	}
}

// overdue looks whether the client has stopped reading. The kernel says that it takes more only when a third of its buffer
// is free, which may be megabytes: what it takes is to be seen by trying.
func (c *conn) overdue() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out != nil && time.Until(c.out.due) <= 0 {
		c.writeOut()
	}
	if c.out == nil || c.dead {
		return
	}
	if left := time.Until(c.out.due); left > 0 {
		c.out.timer.Reset(left)
		return
	}
	c.stall()
}

// drop gives up, or is done with, what waits for the client. c.mu is held.
func (c *conn) drop() {
	if c.stream != nil {
		c.stream.pending, c.stream.unsent = nil, 0
	}
	if c.out != nil {
		c.out.timer.Stop()
		c.out = nil
	}
}
