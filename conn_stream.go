package bachata

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// stream is the connection below a WebSocket that is not polled. How it waits:
//
//   - parked: a goroutine waits in the runtime's poller, on a stack that never grew: what came is handled, and then a
//     fresh goroutine waits on. (A stack that once grew to 4 KB is not shrunk again by the garbage collector, because
//     waiting alone fills more than a quarter of it.)
//   - blocked, where the descriptor can't be had: a goroutine waits in Read, with a buffer of 4 KiB.
type stream struct {
	net  net.Conn
	raw  syscall.RawConn // nil: blocked
	away atomic.Bool     // the reader is busy, so that silence says nothing about the client

	// Of the reading goroutine.
	got   *input // what a parked one read
	block []byte // what a blocked one reads into

	// Guarded by conn.mu.
	pending  []byte        // written, not yet in the hands of the flusher
	unsent   int           // bytes that wait for the client to read: pending, and what is being flushed
	flushing bool          // a flusher runs
	idle     chan struct{} // closed when it ends; nil while nobody asks
}

func newStream(nc net.Conn) *stream { return &stream{net: nc, raw: rawConn(nc)} }

func (s *stream) start(c *conn, rest []byte) {
	if len(rest) > 0 {
		s.away.Store(true)
		c.take(rest)
	}
	s.run(c)
}

// run reads and handles what comes.
func (s *stream) run(c *conn) {
	for {
		c.mu.Lock()
		may := c.mayRead()
		c.mu.Unlock()
		if !may {
			return
		}
		c.seen.Store(c.h.heart.now.Load())
		s.away.Store(false)
		err := s.read(c)
		if err != nil {
			s.away.Store(true)
			if err == io.EOF {
				s.awaitFlush(c)
			}
			c.gone(err)
			return
		}
		if s.raw != nil {
			go s.run(c) // with a small stack
			return
		}
	}
}

// read waits for bytes, and handles them.
func (s *stream) read(c *conn) error {
	if s.raw == nil {
		if s.block == nil {
			s.block = make([]byte, blockSize)
		}
		n, err := s.net.Read(s.block)
		if n > 0 {
			s.away.Store(true)
			c.take(s.block[:n])
			return nil // an error comes again
		}
		return err
	}
	if err := s.raw.Read(func(fd uintptr) bool { return s.park(c, fd) }); err != nil {
		return err
	}
	in := s.got
	s.got = nil
	if err := in.err; err != nil {
		c.h.buffers.putInput(in)
		return err
	}
	s.away.Store(true)
	c.takeInput(in)
	return nil
}

// park is called by the runtime when there may be something to read. It returns false, to wait, only after it gave its
// buffer back.
func (s *stream) park(c *conn, fd uintptr) bool {
	in := c.h.buffers.input()
	in.read(fd)
	if in.err == syscall.EAGAIN {
		c.h.buffers.putInput(in)
		return false
	}
	s.got = in
	return true
}

// send writes b, or has a flusher write what can't be written now. c.mu is held.
func (s *stream) send(c *conn, b []byte) error {
	if !s.flushing && s.raw != nil {
		o := c.h.buffers.output()
		o.b = b
		err := s.raw.Write(o.try)
		if err == nil {
			err = o.err
		}
		b = o.b
		c.h.buffers.putOutput(o)
		if err != nil {
			c.lose(err)
			return errSocketBroke
		}
	}
	if len(b) == 0 {
		return nil
	}
	s.pending = append(s.pending, b...)
	s.unsent += len(b)
	if !s.flushing {
		s.flushing = true
		c.h.helpers.Go(func() { s.flush(c) })
	}
	return nil
}

// flush writes what is pending. The client has WriteTimeout for each 64 KiB, so that a slow one is served and a
// stopped one is not.
func (s *stream) flush(c *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.dead && len(s.pending) > 0 {
		b := s.pending
		s.pending = nil
		for len(b) > 0 && !c.dead {
			chunk := b[:min(len(b), flushSize)]
			c.mu.Unlock()
			err := s.write(chunk, c.h.WriteTimeout)
			c.mu.Lock()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.stall()
				break
			} else if err != nil {
				c.lose(err)
				break
			}
			b = b[len(chunk):]
			s.unsent -= len(chunk)
			if s.unsent <= pauseAt {
				c.resume()
			}
		}
	}
	s.flushing = false
	if s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
	if !c.dead {
		_ = s.net.SetWriteDeadline(time.Time{})
	}
	c.flushed()
}

// lastLook is how long a write that was not done in time may take when it is tried once more.
const lastLook = 100 * time.Millisecond

// write writes b within limit. The kernel says that it takes more only when a third of its buffer is free, which may be
// megabytes: whether it does not take even b is to be seen by trying. (Over TLS nothing can be tried again.)
func (s *stream) write(b []byte, limit time.Duration) error {
	_ = s.net.SetWriteDeadline(time.Now().Add(limit))
	n, err := s.net.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = s.net.SetWriteDeadline(time.Now().Add(lastLook))
		if m, _ := s.net.Write(b[n:]); n+m == len(b) {
			return nil
		}
	}
	return err
}

// awaitFlush waits until the flusher has nothing more to write: a client that has ended its own side of the stream may still be
// reading. It is called by the reading goroutine.
func (s *stream) awaitFlush(c *conn) {
	c.mu.Lock()
	if !s.flushing {
		c.mu.Unlock()
		return
	}
	idle := make(chan struct{})
	s.idle = idle
	c.mu.Unlock()
	<-idle
}

// reset has the connection end at once, with all that the kernel keeps for it. TLS would write an alert first, and wait for
// that.
func (s *stream) reset() {
	below := s.net
	secure, ok := below.(interface{ NetConn() net.Conn })
	if ok {
		below = secure.NetConn()
	}
	if tcp, ok := below.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	if ok {
		_ = below.Close()
	}
}

// ask is conn.ask.
func (s *stream) ask(what func(fd uintptr) uint64) (n uint64) {
	raw := s.raw
	if raw == nil {
		below := s.net
		if secure, ok := below.(interface{ NetConn() net.Conn }); ok {
			below = secure.NetConn()
		}
		if has, ok := below.(syscall.Conn); ok { // whatever else it does with what is read and written
			raw, _ = has.SyscallConn()
		}
	}
	if raw != nil {
		_ = raw.Control(func(fd uintptr) { n = what(fd) })
	}
	return n
}

// closeWrite ends our side of the stream, and reports whether it can be ended by itself.
func (s *stream) closeWrite(c *conn) bool {
	half, ok := s.net.(interface{ CloseWrite() error })
	switch {
	case !ok:
	case s.raw != nil:
		_ = half.CloseWrite()
	default:
		c.h.helpers.Go(func() { _ = half.CloseWrite() })
	}
	return ok
}

func (s *stream) close(c *conn) {
	if s.raw != nil {
		_ = s.net.Close()
		return
	}
	// TLS writes an alert first, and may wait for it.
	c.h.helpers.Go(func() { _ = s.net.Close() })
}
