package bachata

import (
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
)

// How many events a worker takes at once. What comes of them is written at their end: with few, the first clients go on while
// the others are served, and what the worker needs stays in the processor's caches. With many, a disk is waited for less often.
const (
	batchEvents = 12
	syncEvents  = 128 // if the queue is waited for
)

// ready is a connection of which the epoll says something.
type ready struct {
	conn    *conn
	events  uint32
	claimed bool // by the worker, an answer ago: more came meanwhile
}

// begun is a connection whose input is handled but for waiting for the queue. It stays claimed until it's answered.
type begun struct {
	conn   *conn
	intake *intake
	more   bool // there may be more to read
}

// pollWorker waits for events and handles them.
type pollWorker struct {
	e      *epoll
	helper bool // it ends when there is nothing to do

	// at says where in its batch the worker is. The monitor may set the bit retired: then what the worker has not begun
	// with is the monitor's, and the worker ends.
	at     atomic.Uint64
	inHook atomic.Bool
	last   uint64 // what the monitor saw a tick ago
	ticks  int    // that it saw the same

	mu    sync.Mutex
	begun []begun // of the batch; the monitor takes it from a worker that is held up

	again  []*conn // claimed, for the next batch
	batch  []ready
	events []syscall.EpollEvent // as many
	input  *input               // the next worker's, once this one has lost its place and only answers
}

// The parts of pollWorker.at: the number of the batch, its length, and how many of it were begun.
const (
	retired    = 1 << 31
	begunBits  = 15
	begunMask  = 1<<begunBits - 1
	lengthMask = retired - 1 - begunMask
	batchOne   = 1 << 32
)

func (e *epoll) start(helper bool) { go e.monitor.add(helper).run() }

func newWorker(e *epoll) *pollWorker {
	n := batchEvents
	if e.batches {
		n = syncEvents
	}
	return &pollWorker{e: e, batch: make([]ready, n), events: make([]syscall.EpollEvent, n)}
}

func (w *pollWorker) run() {
	defer w.e.monitor.remove(w)
	rest := 0 // of the last batch, at the start of the next
	for {
		n := rest + w.resume(rest)
		m := epollNow(w.e.fd, w.events[n:])
		if n+m == 0 {
			w.e.monitor.rest()
			w.e.p.cork.rest()
			if w.helper {
				return
			}
			runtime.Gosched() // what the last batch has woken would wait for this thread
			m = epollWait(w.e.fd, w.events)
		}
		if w.e.stopped.Load() {
			return
		}
		if n+m == len(w.events) {
			w.e.monitor.help()
		}
		n += w.e.p.resolve(w.e, w.events[n:n+m], w.batch[n:])
		rest = w.handle(n)
		if rest < 0 {
			return
		}
	}
}

// resume puts the connections of which more came into the batch, from at on, and returns how many.
func (w *pollWorker) resume(at int) int {
	n := min(len(w.again), (len(w.batch)-at)/2)
	for i, c := range w.again[:n] {
		w.batch[at+i] = ready{conn: c, claimed: true}
	}
	left := copy(w.again, w.again[n:])
	clear(w.again[left:])
	w.again = w.again[:left]
	return n
}

// handle handles n events, and returns how many are left for the next batch, at its start: those that come when much is to
// be answered already. It returns -1 if the worker was retired meanwhile.
func (w *pollWorker) handle(n int) (rest int) {
	if n == 0 {
		return 0
	}
	m := &w.e.monitor
	if m.dispatching() {
		w.e.p.serveAll(w.batch[:n])
		return 0
	}
	at := (w.at.Load() + batchOne) | uint64(n)<<begunBits
	w.e.p.cork.open(n)
	w.at.Store(at)
	m.watch()
	for owes := 0; ; {
		if owes >= mostOwed {
			next := int(at & begunMask)
			if !w.at.CompareAndSwap(at, at|begunMask) {
				return -1
			}
			at |= begunMask
			rest = copy(w.batch, w.batch[next:n])
			clear(w.batch[max(rest, next):n])
			break
		}
		at = w.at.Add(1)
		i := int(at&begunMask) - 1
		if at&retired != 0 {
			return -1
		}
		if i == n {
			break
		}
		r := w.batch[i]
		w.batch[i] = ready{}
		if !r.begin() {
			continue
		}
		if b := r.conn.run(w); b.intake != nil {
			owes += len(b.intake.items) + len(b.intake.keys)
			if !w.keep(b) {
				w.e.p.release(w.e.p.answer(nil, []begun{b}))
			}
		}
	}
	// From here on nobody's hooks hold up the worker. If it takes its time, another takes its place meanwhile.
	w.e.p.cork.close()
	if len(w.begun) > 0 {
		w.again = w.e.p.answer(w.again, w.begun)
		w.begun = w.begun[:0]
	}
	if !w.at.CompareAndSwap(at, at&^(batchOne-1)) {
		w.e.p.release(w.again)
		w.again = nil
		w.e.p.serveAll(w.batch[:rest])
		return -1
	}
	return rest
}

// keep notes what is to be answered at the end of the batch. It returns false if the worker was retired meanwhile.
func (w *pollWorker) keep(b begun) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at.Load()&retired != 0 {
		return false
	}
	w.begun = append(w.begun, b)
	return true
}

// answer waits until what list has put and popped is safe, and answers it. It appends to again the connections of which
// more came meanwhile; they stay claimed.
func (p *poller) answer(again []*conn, list []begun) []*conn {
	for _, b := range list {
		b.intake.settle()
	}
	p.cork.open(len(list))
	defer p.cork.close()
	for _, b := range list {
		b.intake.answer()
	}
	for i, b := range list {
		list[i] = begun{}
		b.intake.cause.run()
		if b.intake.posts() {
			go func() { // for it may have to wait
				b.intake.post()
				b.intake.release()
				if b.conn.goesOn(b.more) {
					p.serve(b.conn)
				}
			}()
			continue
		}
		b.intake.release()
		if b.conn.goesOn(b.more) {
			again = append(again, b.conn)
		}
	}
	return again
}

// goesOn ends reading, unless there is more to read.
func (c *conn) goesOn(more bool) bool { return more || c.ended.Load() || !c.idle() }

// serveAll has the pool handle events, and forgets them.
func (p *poller) serveAll(events []ready) {
	for i, r := range events {
		if r.begin() {
			p.serve(r.conn)
		}
		events[i] = ready{}
	}
}

// release has others read from connections that are claimed.
func (p *poller) release(list []*conn) {
	for _, c := range list {
		p.serve(c)
	}
}

// heldUp is told where the worker is, each tick, and reports whether it has been there for too long: a tick if the
// application's code runs, or if all of its batch is begun and only answers are due, else some.
func (w *pollWorker) heldUp(at uint64) bool {
	if at != w.last {
		w.last, w.ticks = at, 0
		return false
	}
	w.ticks++
	return w.ticks >= busyTicks || answering(at) || w.inHook.Load()
}

// answering reports whether a worker at that place has begun with all of its batch.
func answering(at uint64) bool { return at&begunMask > at&lengthMask>>begunBits }

// leave takes from a worker that was retired what it has not begun with, and what it has begun.
func (w *pollWorker) leave(at uint64) left {
	n := at & lengthMask >> begunBits
	rest := w.batch[min(at&begunMask, n):n]
	l := left{rest: slices.Clone(rest), again: w.again}
	w.again = nil
	clear(rest)
	w.mu.Lock()
	defer w.mu.Unlock()
	l.begun, w.begun = w.begun, nil
	return l
}

// begin takes the connection's events in, and reports whether it is the caller's to be read.
func (r ready) begin() bool {
	if r.claimed {
		return true
	}
	if r.events&syscall.EPOLLOUT != 0 {
		r.conn.writable()
	}
	if r.events&endEvents != 0 {
		r.conn.ended.Store(true)
	}
	return r.events&^syscall.EPOLLOUT != 0 && r.conn.claim()
}

var errPaused = errors.New("bachata: client has left too much unread")

// mostReads is how often a worker reads from one connection before it goes on to the next.
const mostReads = 4

// run reads and handles what comes, until nothing more is there. w is nil if the goroutine is of the pool. A worker whose
// batch is waited for together is returned what is to be answered, and the connection stays claimed.
func (c *conn) run(w *pollWorker) begun {
	told := true
	for reads := 1; ; reads++ {
		b, err := c.readOnce(w, told)
		told = false
		switch {
		case err == errPaused:
			return begun{}
		case err == syscall.EAGAIN || err == nil && !b.more && b.intake == nil && !c.ended.Load():
			// Less came than there was room for: what comes now makes a new event.
			if c.idle() {
				return begun{}
			}
			told = true
		case err != nil:
			if w != nil { // OnClose is the application's
				w.inHook.Store(true)
				defer w.inHook.Store(false)
			}
			c.gone(err)
			return begun{}
		case b.intake != nil:
			if w != nil && w.e.batches {
				return b
			}
			b.intake.end()
			if !c.goesOn(b.more) {
				return begun{}
			}
			told = true
		}
		if w != nil && reads == mostReads {
			c.h.poller.serve(c)
			return begun{}
		}
	}
}

// readOnce reads once and begins with what came. told says that there was an event since it was called last.
func (c *conn) readOnce(w *pollWorker, told bool) (begun, error) {
	var in *input
	if w != nil {
		in = w.input
	} else {
		in = c.h.buffers.input()
	}
	c.mu.Lock()
	var err error
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
	if err == io.EOF && c.endWaits() {
		err = errPaused
	}
	c.mu.Unlock()
	if err != nil {
		if w == nil {
			c.h.buffers.putInput(in)
		}
		return begun{}, err
	}
	b := begun{conn: c, more: in.n == len(in.buf) || c.tls != nil}
	if w != nil {
		b.intake = c.begin(in.buf[:in.n], &w.inHook)
	} else {
		b.intake = c.beginInput(in)
	}
	return b, nil
}

// endWaits has the end of the stream read once more when the client has taken more of what waits for it: one that has
// ended its own side may still be reading. It reports false if nothing waits. c.mu is held.
func (c *conn) endWaits() bool {
	c.release()
	c.paused = c.unsent() > 0
	return c.paused
}

// readTLS reads a record, or says EAGAIN. It is called until it does: an event tells of the descriptor, not of what
// crypto/tls has read of it. told says that there was an event; without one, the descriptor is not asked again for nothing.
func (c *conn) readTLS(b []byte, told bool) (int, error) {
	if told {
		c.tls.NetConn().(*wire).more = true
	}
	return c.tls.Read(b)
}
