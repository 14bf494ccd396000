package bachata

import (
	"runtime"
	"sync"
	"time"
)

const (
	manyCorked = 256      // connections that need not wait for the end of a batch
	mostCorked = 1024     // connections that do
	mostCork   = 16 << 10 // bytes of one that do
	mostHeld   = 2 * time.Millisecond

	fewEvents  = 2            // of a batch that small, answers wait no longer than all else
	answerSpan = mostHeld / 2 // an answer waits for one to two of them
)

// cork holds back what is written while a worker handles a batch, until the batch is done. What is written to one client
// meanwhile goes out with one call, and clients are not woken one by one while there is more for them: most of what a
// message costs is waking who waits for it.
//
// Answers wait longer where there is more to do: who was told that the server has a message will soon be told that it
// was delivered, and that goes out with one call too. They go when a worker finds nothing to do, or after a while.
type cork struct {
	mu      sync.Mutex
	batches int // under way
	workers int // of these, those of workers, which close ends
	events  int // of the last of these
	closing int // goroutines that will write what is held back
	conns   []*conn
	spare   []*conn
	answers [2][]*conn  // for which answers alone are held back: in this span, and in the one before
	turned  time.Time   // when this span began
	last    *runner     // of the session that was woken last
	later   []woken     // sessions to serve at the end
	center  *Center     // theirs
	timer   *time.Timer // runs from the first of conns or later on, in case who is to write them is held up
}

// open is called when a batch of that many events begins, close when it is done, or held up.
func (k *cork) open(events int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.batches++
	k.workers++
	k.events = events
}

func (k *cork) close() {
	k.mu.Lock()
	k.serve()
	k.last = nil
	k.batches--
	k.workers--
	k.turn()
	k.write()
}

// rest is called when a worker finds nothing to do.
func (k *cork) rest() {
	k.mu.Lock()
	if !k.patient() {
		k.mu.Unlock()
		return
	}
	k.hurry()
	k.write()
}

// patient reports whether answers are held back. k.mu is held.
func (k *cork) patient() bool { return len(k.answers[0])+len(k.answers[1]) > 0 }

// turn has the answers of the span before written with all else, if this one is over. k.mu is held.
func (k *cork) turn() {
	if !k.patient() {
		return
	}
	if now := time.Now(); now.Sub(k.turned) >= answerSpan {
		k.join(1)
		k.answers[0], k.answers[1] = k.answers[1], k.answers[0]
		k.turned = now
	}
}

// hurry has all answers written with all else. k.mu is held.
func (k *cork) hurry() {
	k.join(1)
	k.join(0)
}

// join has the answers of a span written with all else. k.mu is held.
func (k *cork) join(span int) {
	k.conns = append(k.conns, k.answers[span]...)
	clear(k.answers[span])
	k.answers[span] = k.answers[span][:0]
}

// leave leaves to the end of a batch the session that c has woken, if it is the one that was woken last: who sends to many
// is woken by each of those who confirm, and is told of all at once.
func (k *cork) leave(c *cause) bool {
	if len(c.woken) != 1 || c.woken[0].taken != nil || !c.center.immediate {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.workers == 0 {
		return false
	}
	if k.last != c.woken[0].runner {
		k.last = c.woken[0].runner
		return false
	}
	k.later, k.center = append(k.later, c.woken[0]), c.center
	k.limit()
	c.woken[0] = woken{}
	c.woken = c.woken[:0]
	return true
}

// serve serves those who were left. k.mu is held, but given back meanwhile.
func (k *cork) serve() {
	for len(k.later) > 0 {
		list := k.later
		k.later = nil
		c := k.center
		k.mu.Unlock()
		if c.enter() {
			c.runAll(list)
			c.leave()
		}
		k.mu.Lock()
	}
}

// limit sees to it that nothing is held back for too long. k.mu is held.
func (k *cork) limit() {
	if len(k.conns)+len(k.later) <= 1 {
		k.schedule()
	}
}

func (k *cork) schedule() {
	if k.timer == nil {
		k.timer = time.AfterFunc(mostHeld, k.overdue)
	} else {
		k.timer.Reset(mostHeld)
	}
}

// yield is close for those who are many: all whom a commit of the queue lets go on are answered together, by the first
// of them, when the others have had their turn.
func (k *cork) yield() {
	k.mu.Lock()
	k.batches--
	if k.closing > 0 || k.batches > 0 && len(k.conns) < manyCorked {
		k.mu.Unlock()
		return
	}
	k.closing++
	k.mu.Unlock()
	runtime.Gosched()
	k.mu.Lock()
	k.closing--
	k.turn()
	k.write()
}

// write writes what is held back. k.mu is held, and given back.
func (k *cork) write() {
	list := k.conns
	k.conns, k.spare = k.spare, nil
	k.mu.Unlock()
	for _, c := range list {
		c.mu.Lock()
		c.release()
		c.mu.Unlock()
	}
	clear(list)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.spare == nil {
		k.spare = list[:0]
	}
}

// take reports whether what is written to c is to be held back; then it will be released. c.mu is held.
func (k *cork) take(c *conn, answers bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.batches+k.closing == 0 || len(k.conns) >= mostCorked {
		return false
	}
	if answers && k.workers > 0 && k.events > fewEvents && len(k.answers[0]) < manyCorked {
		if !k.patient() {
			k.turned = time.Now()
			k.schedule()
		}
		k.answers[0] = append(k.answers[0], c)
		return true
	}
	if len(k.conns) == manyCorked {
		k.timer.Reset(0) // they are written in a row, while more is prepared
	}
	k.conns = append(k.conns, c)
	k.limit()
	return true
}

// overdue writes what has been held back for long enough.
func (k *cork) overdue() {
	k.mu.Lock()
	k.serve()
	k.hurry()
	k.write()
}

// cork and uncork stand around what a session writes at once, to its own client and to others.
func (c *conn) cork() {
	if c.stream == nil {
		k := &c.h.poller.cork
		k.mu.Lock()
		k.batches++
		k.mu.Unlock()
	}
}

// later leaves to the end of a batch whom the session's call has woken, if that is better.
func (c *conn) later(by *cause) bool { return c.stream == nil && c.h.poller.cork.leave(by) }

func (c *conn) uncork() {
	if c.stream == nil {
		c.h.poller.cork.yield()
	}
}

// held is what waits for the end of a batch: frames of one connection, or one that many share.
type held struct {
	b       []byte
	shared  bool // nobody changes it
	answers bool // it is nothing but answers
}

// hold keeps b for the end of the batch, if there is one, or longer, if it is nothing but answers. It may be kept as
// shared, which holds the same. c.mu is held.
func (c *conn) hold(b []byte, shared *held, answers bool) bool {
	k := &c.h.poller.cork
	first, now := c.corked, false
	switch {
	case first == nil:
		if len(b) > mostCork || !k.take(c, answers) {
			return false
		}
		if c.corked = shared; shared != nil {
			return true
		}
	case first.answers && !answers:
		first.answers = false
		now = !k.take(c, false)
	}
	if first == nil || first.shared {
		c.corked = c.h.buffers.held()
		c.corked.answers = answers && first == nil
	}
	if first != nil && first.shared {
		c.corked.b = append(c.corked.b, first.b...)
	}
	c.corked.b = append(c.corked.b, b...)
	if now || len(c.corked.b) > mostCork {
		c.release()
	}
	return true
}

// release writes what was held back. c.mu is held.
func (c *conn) release() {
	f := c.corked
	if f == nil {
		return
	}
	c.corked = nil
	if !c.dead {
		_ = c.write(f.b) // an error is noted, and ends the connection
	}
	if !f.shared {
		c.h.buffers.putHeld(f)
	}
}
