package bachata

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	errSocketClosed = errors.New("bachata: socket is closed")
	errSilent       = errors.New("bachata: no answer to a ping")
	errNoClose      = errors.New("bachata: no answer to a close frame")
	errShutdown     = errors.New("bachata: handler shut down")
)

// receiver is what a connection needs of a session. Receive is called by one goroutine at a time.
type receiver interface {
	Receive(texts [][]byte)
	Pong(payload []byte)
	Detach()
}

// conn is one WebSocket: the Socket and Barrier of a session, and the driver that reads for it. While the client is
// silent, it holds no buffer. What it needs besides depends on how it waits:
//
//   - polled, on Linux: it has no goroutine either. The handler's poller starts one when bytes come.
//   - parked: a goroutine waits in the runtime's poller, on a stack that never grew: what came is handled, and then a
//     fresh goroutine waits on. (A stack that once grew to 4 KB is not shrunk again by the garbage collector, because
//     waiting alone fills more than a quarter of it.)
//   - blocked, with TLS: a goroutine waits in Read, with a buffer of 4 KiB.
type conn struct {
	h       *Handler
	net     net.Conn
	raw     syscall.RawConn // nil: blocked
	session receiver        // nil if the client was not let in

	compress bool // permessage-deflate was agreed on

	// Of the reading goroutine.
	got   *input // what a parked one read
	block []byte // what a blocked one reads into
	deaf  bool   // nothing that still comes matters
	assembler

	// Of the poller.
	polled bool
	seat   uint32
	reader atomic.Int32 // one of the states below
	ended  atomic.Bool  // the stream is at its end or broken: read until Read says so

	// Of the heartbeat, under its lock; times are its ticks.
	next, prev *conn
	slot       uint32
	askedAt    uint32
	asked      bool // pinged at askedAt, and not heard since

	seen atomic.Uint32 // when bytes came last
	away atomic.Bool   // the reader is busy, so that silence says nothing about the client

	mu        sync.Mutex
	pending   []byte // written, not yet in the hands of the flusher
	unsent    int    // bytes of pending and of the flusher
	flushing  bool   // a flusher runs
	paused    bool   // reading waits until the client has read more
	closeSent bool   // nothing may be written behind a close frame
	closeSeen bool   // the client's close frame came
	failed    bool   // the client broke the protocol: its input is read only to be dropped
	finished  bool   // our side of the stream is ended
	dead      bool   // writing has failed, or net is closed
	closed    bool   // net is closed
	cause     error  // why
	timer     *time.Timer
}

// Whether a polled connection has a reading goroutine. A paused one counts as reading.
const (
	readerReading int32 = iota
	readerAgain         // it is told to look once more
	readerIdle
)

func newConn(h *Handler, nc net.Conn) *conn { return &conn{h: h, net: nc, raw: rawConn(nc)} }

// start begins reading; rest is what the client sent right behind its handshake.
func (c *conn) start(rest []byte) {
	c.polled = c.raw != nil && !c.h.parked && c.h.poller.join(c)
	if len(rest) > 0 {
		c.away.Store(true)
		c.take(rest)
	}
	if c.mayRead() {
		go c.run()
	}
}

// ready has a polled connection read. It does not block.
func (c *conn) ready() {
	for {
		switch state := c.reader.Load(); {
		case state == readerAgain:
			return
		case state == readerReading && c.reader.CompareAndSwap(readerReading, readerAgain):
			return
		case state == readerIdle && c.reader.CompareAndSwap(readerIdle, readerReading):
			go c.run()
			return
		}
	}
}

// idle ends the reading goroutine of a polled connection, unless it was told to look once more.
func (c *conn) idle() bool {
	if c.reader.CompareAndSwap(readerReading, readerIdle) {
		return true
	}
	c.reader.Store(readerReading)
	return false
}

// run reads and handles what comes.
func (c *conn) run() {
	for {
		c.seen.Store(c.h.heart.now.Load())
		c.away.Store(false)
		more, err := c.read()
		switch {
		case err == syscall.EAGAIN:
			if c.idle() {
				return
			}
			continue
		case err != nil:
			c.away.Store(true)
			c.gone(err)
			return
		case !c.mayRead():
			return
		case !c.polled:
			go c.run() // with a small stack
			return
		case !more && !c.ended.Load():
			// Less came than there was room for: what comes now makes a new event.
			c.seen.Store(c.h.heart.now.Load())
			c.away.Store(false)
			if c.idle() {
				return
			}
		}
	}
}

// mayRead reports whether reading may go on. If not, because the client has left too much unread, the flusher starts it
// again.
func (c *conn) mayRead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = c.unsent > pauseAt && !c.closeSent && !c.dead
	return !c.paused
}

// read reads once and handles what came; more says that there may be more. A polled connection has EAGAIN when there is
// nothing, the others wait.
func (c *conn) read() (more bool, err error) {
	var in *input
	switch {
	case c.polled:
		in = c.h.buffers.input()
		if err := c.raw.Read(in.try); err != nil {
			in.err = err
		}
	case c.raw != nil:
		if err := c.raw.Read(c.park); err != nil {
			return false, err
		}
		in, c.got = c.got, nil
	default:
		if c.block == nil {
			c.block = make([]byte, blockSize)
		}
		n, err := c.net.Read(c.block)
		if n > 0 {
			c.away.Store(true)
			c.take(c.block[:n])
			return true, nil // an error comes again
		}
		return false, err
	}
	if err := in.err; err != nil {
		c.h.buffers.putInput(in)
		return false, err
	}
	c.away.Store(true)
	more = in.n == len(in.buf)
	c.takeInput(in)
	return more, nil
}

// park is called by the runtime when there may be something to read. It returns false, to wait, only after it gave its
// buffer back.
func (c *conn) park(fd uintptr) bool {
	in := c.h.buffers.input()
	in.read(fd)
	if in.err == syscall.EAGAIN {
		c.h.buffers.putInput(in)
		return false
	}
	c.got = in
	return true
}

// takeInput handles what was read into a big pooled buffer.
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

// gone ends the connection; it is the last thing that its goroutine does.
func (c *conn) gone(err error) {
	c.mu.Lock()
	c.close(err)
	cause := c.cause
	c.mu.Unlock()
	if c.session != nil {
		c.session.Detach()
		c.h.onClose(c)
	}
	if c.polled {
		c.h.poller.leave(c)
	}
	if log := c.h.Logger; log != nil && cause != nil && !errors.Is(cause, io.EOF) {
		log.Debug("connection ended", "remote", c.net.RemoteAddr().String(), "cause", cause)
	}
	c.h.heart.remove(c)
}

// cut ends the connection at once. What the client has not read is given up, by the kernel too.
func (c *conn) cut(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if tcp, ok := c.net.(*net.TCPConn); ok && !c.closed {
		_ = tcp.SetLinger(0)
	}
	c.close(cause)
}

// close closes the network connection, which ends its reader. c.mu is held.
func (c *conn) close(cause error) {
	if c.closed {
		return
	}
	c.closed, c.dead = true, true
	if c.cause == nil {
		c.cause = cause
	}
	c.pending, c.unsent = nil, 0
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.raw != nil {
		_ = c.net.Close()
	} else {
		// TLS writes an alert first, and may wait for it.
		c.h.helpers.Go(func() { _ = c.net.Close() })
	}
	c.ready() // to see that it is over
	c.resume()
}

// resume starts reading again after a pause. c.mu is held.
func (c *conn) resume() {
	if c.paused {
		c.paused = false
		go c.run()
	}
}

// limitClose sees to it that the connection ends, whatever the client does. c.mu is held.
func (c *conn) limitClose() {
	c.resume()
	if c.timer != nil || c.closed {
		return
	}
	d := c.h.CloseTimeout
	if c.unsent > 0 {
		d += c.h.WriteTimeout
	}
	c.timer = time.AfterFunc(d, func() { c.cut(errNoClose) })
}
