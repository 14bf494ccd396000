package bachata

import (
	"runtime"
	"sync/atomic"
	"syscall"
)

const batchEvents = 64 // that a worker takes at once

// ready is a connection of which the epoll says something.
type ready struct {
	conn   *conn
	events uint32
}

// pollWorker waits for events and handles them.
type pollWorker struct {
	e      *epoll
	helper bool // it ends when there is nothing to do

	// at says where in its batch the worker is. The monitor may set the bit retired: then what the worker has not begun
	// with is the monitor's, and the worker ends.
	at   atomic.Uint64
	last uint64 // what the monitor saw a tick ago

	batch  [batchEvents]ready
	events [batchEvents]syscall.EpollEvent
	input  input
}

// The parts of pollWorker.at: the number of the batch, its length, and how many of it were begun.
const (
	retired    = 1 << 31
	begunBits  = 15
	begunMask  = 1<<begunBits - 1
	lengthMask = retired - 1 - begunMask
	batchOne   = 1 << 32
)

func (e *epoll) start(helper bool) {
	w := &pollWorker{e: e, helper: helper}
	e.monitor.add(w)
	go w.run()
}

func (w *pollWorker) run() {
	defer w.e.monitor.remove(w)
	for {
		n := epollNow(w.e.fd, w.events[:])
		if n == 0 {
			if w.helper {
				return
			}
			runtime.Gosched() // what the last batch has woken would wait for this thread
			n = epollWait(w.e.fd, w.events[:])
		}
		if w.e.stopped.Load() {
			return
		}
		if n == len(w.events) {
			w.e.monitor.help()
		}
		if n = w.e.p.resolve(w.e, w.events[:n], w.batch[:]); n > 0 && !w.handle(n) {
			return
		}
	}
}

// handle handles n events. It returns false if the worker was retired meanwhile.
func (w *pollWorker) handle(n int) bool {
	m := &w.e.monitor
	if m.dispatching() {
		for i := range n {
			if r := w.batch[i]; r.begin() {
				w.e.p.serve(r.conn)
			}
			w.batch[i] = ready{}
		}
		return true
	}
	at := (w.at.Load() + batchOne) | uint64(n)<<begunBits
	cork := &w.e.p.cork
	cork.open()
	w.at.Store(at)
	m.watch()
	for {
		at = w.at.Add(1)
		i := int(at&begunMask) - 1
		if at&retired != 0 {
			return false
		}
		if i == n {
			if !w.at.CompareAndSwap(at, at&^(batchOne-1)) {
				return false
			}
			cork.close()
			return true
		}
		r := w.batch[i]
		w.batch[i] = ready{}
		if r.begin() {
			r.conn.run(&w.input)
		}
	}
}

// rest returns the events that a retired worker has not begun with.
func (w *pollWorker) rest(at uint64) []ready {
	n := at & lengthMask >> begunBits
	return w.batch[min(at&begunMask, n):n]
}

// begin takes the connection's events in, and reports whether it is the caller's to be read.
func (r ready) begin() bool {
	if r.events&syscall.EPOLLOUT != 0 {
		r.conn.writable()
	}
	if r.events&endEvents != 0 {
		r.conn.ended.Store(true)
	}
	return r.events&^syscall.EPOLLOUT != 0 && r.conn.claim()
}

// mostReads is how often a worker reads from one connection before it goes on to the next.
const mostReads = 4

// run reads and handles what comes, until nothing more is there. in is a worker's; without one, the goroutine is of the
// pool.
func (c *conn) run(in *input) {
	told := true
	for reads := 1; ; reads++ {
		more, err := c.readOnce(in, told)
		told = false
		switch {
		case err == errPaused:
			return
		case err == syscall.EAGAIN || err == nil && !more && !c.ended.Load():
			// Less came than there was room for: what comes now makes a new event.
			if c.idle() {
				return
			}
			told = true
		case err != nil:
			c.gone(err)
			return
		}
		if in != nil && reads == mostReads {
			c.h.poller.serve(c)
			return
		}
	}
}

// readOnce reads once and handles what came; more says that there may be more. told
// says that there was an event since it was called last.
func (c *conn) readOnce(in *input, told bool) (more bool, err error) {
	own := in != nil
	if !own {
		in = c.h.buffers.input()
	}
	c.mu.Lock()
	switch {
	case c.closed:
		err = errSocketClosed
	case !c.mayRead():
		err = errPaused
	case c.tls != nil:
		in.n, err = c.readTLS(in.buf[:], told)
	default:
		in.n, err = readNow(c.fd, in.buf[:])
	}
	c.mu.Unlock()
	if err != nil {
		if !own {
			c.h.buffers.putInput(in)
		}
		return false, err
	}
	more = in.n == len(in.buf) || c.tls != nil
	if own {
		c.take(in.buf[:in.n])
	} else {
		c.takeInput(in)
	}
	return more, nil
}

// readTLS reads a record, or says EAGAIN. It is called until it does: an event tells of the descriptor, not of what
// crypto/tls has read of it. told says that there was an event; without one, the descriptor is not asked again for nothing.
func (c *conn) readTLS(b []byte, told bool) (int, error) {
	if told {
		c.tls.NetConn().(*wire).more = true
	}
	return c.tls.Read(b)
}
