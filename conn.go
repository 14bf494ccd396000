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

// conn is one WebSocket: the Socket and Barrier of a session, and the driver that reads for it.
//
// One goroutine belongs to it. While the client is silent that goroutine is parked without a buffer and on a stack
// that never grew: what came is handled, and then a fresh goroutine takes over. (A stack that once grew to 4 KB is
// not shrunk again by the garbage collector, because parking alone fills more than a quarter of it.)
type conn struct {
	h       *Handler
	net     net.Conn
	raw     syscall.RawConn // nil: net has to be read and written by blocking calls
	session receiver        // nil if the client was not let in

	// Of the reading goroutine.
	poll  func(fd uintptr) bool // c.tryRead, kept so that waiting allocates nothing
	got   *input                // what tryRead read
	block []byte                // without raw: what to read into
	deaf  bool                  // nothing that still comes matters
	assembler

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
	paused    bool   // there is no reading goroutine, until the client has read more
	closeSent bool   // nothing may be written behind a close frame
	closeSeen bool   // the client's close frame came
	failed    bool   // the client broke the protocol: its input is read only to be dropped
	finished  bool   // our side of the stream is ended
	dead      bool   // writing has failed, or net is closed
	closed    bool   // net is closed
	cause     error  // why
	timer     *time.Timer
}

func newConn(h *Handler, nc net.Conn) *conn {
	c := &conn{h: h, net: nc, raw: rawConn(nc)}
	if c.raw != nil {
		c.poll = c.tryRead
	}
	return c
}

// start begins reading; rest is what the client sent right behind its handshake.
func (c *conn) start(rest []byte) {
	if len(rest) > 0 {
		c.away.Store(true)
		c.take(rest)
	}
	c.goOn()
}

// run waits for the client once, handles what came, and leaves the next time to a fresh goroutine.
func (c *conn) run() {
	c.seen.Store(c.h.heart.now.Load())
	c.away.Store(false)
	err := c.read()
	c.away.Store(true)
	if err != nil {
		c.gone(err)
		return
	}
	if in := c.got; in != nil {
		c.got = nil
		c.takeInput(in)
	}
	c.goOn()
}

// goOn starts the next run, unless the client has left too much unread: then the flusher does when that is less.
func (c *conn) goOn() {
	c.mu.Lock()
	c.paused = c.unsent > pauseAt && !c.closeSent && !c.dead
	paused := c.paused
	c.mu.Unlock()
	if !paused {
		go c.run()
	}
}

// read waits for bytes. Without raw it handles them too, for its buffer is the connection's own.
func (c *conn) read() error {
	if c.raw != nil {
		if err := c.raw.Read(c.poll); err != nil {
			return err
		}
		if in := c.got; in.err != nil {
			c.got = nil
			err := in.err
			c.h.buffers.putInput(in)
			return err
		}
		return nil
	}
	if c.block == nil {
		c.block = make([]byte, blockSize)
	}
	n, err := c.net.Read(c.block)
	if n > 0 {
		c.away.Store(true)
		c.take(c.block[:n])
		return nil // an error comes again
	}
	return err
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

// close closes the network connection, which ends its goroutine. c.mu is held.
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
