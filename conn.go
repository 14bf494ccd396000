package bachata

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

var (
	errSocketClosed = errors.New("bachata: socket is closed") // and took nothing of what was to be written
	errSocketBroke  = errors.New("bachata: socket broke")     // it may have taken a part
	errSilent       = errors.New("bachata: no answer to a ping")
	errNoClose      = errors.New("bachata: no answer to a close frame")
	errShutdown     = errors.New("bachata: handler shut down")
)

// receiver is what a connection needs of a session.
type receiver interface {
	begin(texts [][]byte, proven []Key, inHook *atomic.Bool) *intake
	prove(keys []Key, payload []byte) []Key
	Detach()
}

// conn is one WebSocket: the Socket and Barrier of a session, and the driver that reads for it. While the client is
// silent, it holds no buffer. What it needs besides depends on how it waits:
//
//   - polled, on Linux: it has a descriptor of its own, and neither a goroutine nor anything of package net. The
//     handler's poller has it read when bytes come.
//   - parked or blocked: it has a stream, with a goroutine that waits.
//
// It is as small as it can be: what is needed rarely stands behind a pointer.
type conn struct {
	h       *Handler
	session receiver   // nil if the client was not let in
	stream  *stream    // nil: polled
	tls     *tls.Conn  // of a polled one; nil without TLS. It is used with mu held, for what it writes when reading
	parts   *assembler // of who reads; nil while nothing is incomplete

	// Of the heartbeat, under its lock; times are its ticks.
	next, prev *conn
	askedAt    uint32
	slot       uint8
	asked      bool // pinged at askedAt, and not heard since

	compress bool // permessage-deflate was agreed on
	deaf     bool // of who reads: nothing that still comes matters

	seen   atomic.Uint32 // when bytes came last
	reader atomic.Int32  // of a polled one: one of the states below
	pinged atomic.Bool   // the session has sent a ping that was not answered
	ended  atomic.Bool   // the stream is at its end or broken: read until Read says so

	mu        sync.Mutex
	fd        int32    // of a polled one; used only with mu held, so that nobody meets a descriptor's next owner
	paused    bool     // reading waits until the client has read more
	closeSent bool     // nothing may be written behind a close frame
	dead      bool     // writing has failed, or the connection is closed
	closed    bool     // the connection is closed
	out       *backlog // what waits for the client to read, of a polled one; nil without any
	corked    *held    // what waits for the end of a batch; nil without any
	end       *ending  // nil while nothing speaks of an end
}

// ending is what a connection has to keep of its end.
type ending struct {
	cause  error
	timer  *time.Timer // after which it is cut
	remote string      // the client's address, if it is to be logged

	closeSeen bool // the client's close frame came
	unasked   bool // before ours: the client may still answer pings
	failed    bool // the client broke the protocol: its input is read only to be dropped
	finished  bool // our side of the stream is ended
}

// Whether someone reads from a polled connection. One that is paused counts as read.
const (
	readerReading int32 = iota
	readerAgain         // it is told to look once more
	readerIdle
)

func newConn(h *Handler, nc net.Conn) *conn {
	c := &conn{h: h, fd: -1}
	if h.Portable || !h.poller.adopt(c, nc) {
		c.stream = newStream(nc)
	}
	return c
}

// start begins reading; rest is what the client sent right behind its handshake.
func (c *conn) start(rest []byte) {
	switch {
	case c.stream != nil:
		go c.stream.start(c, rest)
	case len(rest) > 0 || c.tls != nil: // which may have read more than the descriptor tells of
		go func() {
			c.take(rest)
			c.h.poller.serve(c)
		}()
	case !c.idle():
		c.h.poller.serve(c)
	}
}

// claim makes the caller the one who reads from a polled connection. If there is one, that one looks once more.
func (c *conn) claim() bool {
	for {
		switch state := c.reader.Load(); {
		case state == readerIdle && c.reader.CompareAndSwap(readerIdle, readerReading):
			return true
		case state == readerAgain:
			return false
		case state == readerReading && c.reader.CompareAndSwap(readerReading, readerAgain):
			return false
		}
	}
}

// idle ends reading, unless the reader was told to look once more.
func (c *conn) idle() bool {
	c.seen.Store(c.h.heart.now.Load())
	if c.reader.CompareAndSwap(readerReading, readerIdle) {
		return true
	}
	c.reader.Store(readerReading)
	return false
}

// busy reports whether the server, not the client, is why nothing was heard.
func (c *conn) busy() bool {
	if c.stream != nil {
		return c.stream.away.Load()
	}
	return c.reader.Load() != readerIdle
}

// mayRead reports whether reading may go on. If not, because the client has left too much unread, it is started again
// when enough was taken. c.mu is held.
func (c *conn) mayRead() bool {
	c.paused = c.unsent() > pauseAt && !c.closeSent && !c.dead
	return !c.paused
}

// reject ends a connection that the handler does not take.
func (c *conn) reject() {
	if c.stream != nil {
		_ = c.stream.net.Close()
		return
	}
	c.h.poller.close(c.fd)
	c.h.poller.leave()
}

// gone ends the connection; it is the last thing that its reader does.
func (c *conn) gone(err error) {
	c.mu.Lock()
	c.close(err)
	end := c.end
	c.mu.Unlock()
	if c.session != nil {
		c.session.Detach()
		c.h.onClose(c)
	}
	if end != nil && end.remote != "" && end.cause != nil && !errors.Is(end.cause, io.EOF) {
		c.h.Logger.Debug("connection ended", "remote", end.remote, "cause", end.cause)
	}
	c.h.heart.remove(c)
	if c.stream == nil {
		c.h.poller.leave()
	}
}

// cut ends the connection at once. What the client has not read is given up, by the kernel too.
func (c *conn) cut(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abort(cause)
}

// abort is cut. c.mu is held.
func (c *conn) abort(cause error) {
	if c.closed {
		return
	}
	if c.stream != nil {
		c.stream.reset()
	} else {
		noLinger(c.fd)
	}
	c.close(cause)
}

// stall ends a connection whose client takes nothing any more. A frame is half written, so that no close frame can
// follow; nor would it be read. c.mu is held.
func (c *conn) stall() {
	c.abort(fmt.Errorf("bachata: client took nothing for %v: %w", c.h.WriteTimeout, os.ErrDeadlineExceeded))
}

// close closes the network connection, which ends its reader. c.mu is held.
func (c *conn) close(cause error) {
	if c.closed {
		return
	}
	c.release()
	c.closed, c.dead = true, true
	c.blame(cause)
	c.noteRemote()
	if c.tls != nil && c.out == nil {
		_ = c.tls.Close() // which only says so
	}
	c.drop()
	if c.end != nil && c.end.timer != nil {
		c.end.timer.Stop()
	}
	if c.stream != nil {
		c.stream.close(c)
	} else {
		c.h.poller.close(c.fd)
		c.fd = -1
		if c.claim() { // to see that it is over
			c.h.poller.serve(c)
		}
	}
	c.resume()
}

// blame notes why the connection ends; the first cause counts. c.mu is held.
func (c *conn) blame(cause error) {
	if cause == nil {
		return
	}
	if end := c.ending(); end.cause == nil {
		end.cause = cause
	}
}

// ending returns what there is of an end, from now on. c.mu is held.
func (c *conn) ending() *ending {
	if c.end == nil {
		c.end = new(ending)
	}
	return c.end
}

// noteRemote keeps the client's address, if the end of the connection is to be logged. c.mu is held.
func (c *conn) noteRemote() {
	log := c.h.Logger
	if log == nil || c.end == nil || !log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	if c.stream != nil {
		c.end.remote = c.stream.net.RemoteAddr().String()
	} else {
		c.end.remote = remoteOf(c.fd)
	}
}

// resume starts reading again after a pause. c.mu is held.
func (c *conn) resume() {
	if !c.paused {
		return
	}
	c.paused = false
	if c.stream != nil {
		go c.stream.run(c)
	} else {
		c.h.poller.serve(c)
	}
}

// limitClose sees to it that the connection ends, whatever the client does. c.mu is held.
func (c *conn) limitClose() {
	c.resume()
	if c.closed {
		return
	}
	end := c.ending()
	if end.timer != nil {
		return
	}
	d := c.h.CloseTimeout
	if c.unsent() > 0 {
		d += c.h.WriteTimeout
	}
	end.timer = time.AfterFunc(d, c.unanswered)
}

// unanswered ends a connection whose client has not ended it in time.
func (c *conn) unanswered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end.closeSeen && c.end.finished {
		c.close(nil) // it may still be reading what the kernel has for it
	} else {
		c.abort(errNoClose)
	}
}
