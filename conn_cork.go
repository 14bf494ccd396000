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
)

// cork holds back what is written while a worker handles a batch, until the batch is done. What is written to one client
// meanwhile goes out with one call, and clients are not woken one by one while there is more for them: most of what a
// message costs is waking who waits for it.
type cork struct {
	mu      sync.Mutex
	batches int // under way
	closing int // goroutines that will write what is held back
	conns   []*conn
	spare   []*conn
	timer   *time.Timer // runs from the first of conns on, in case who is to write them is held up
}

// open is called when a batch begins, close when it is done, or held up.
func (k *cork) open() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.batches++
}

func (k *cork) close() {
	k.mu.Lock()
	k.batches--
	k.write()
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

// take reports whether what is written to c is to be held back; then close will release it. c.mu is held.
func (k *cork) take(c *conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.batches+k.closing == 0 || len(k.conns) >= mostCorked {
		return false
	}
	if len(k.conns) == manyCorked {
		k.timer.Reset(0) // they are written in a row, while more is prepared
	}
	if len(k.conns) == 0 {
		if k.timer == nil {
			k.timer = time.AfterFunc(mostHeld, k.overdue)
		} else {
			k.timer.Reset(mostHeld)
		}
	}
	k.conns = append(k.conns, c)
	return true
}

// overdue writes what has been held back for long enough.
func (k *cork) overdue() {
	k.mu.Lock()
	k.write()
}

// cork and uncork stand around what a session writes at once, to its own client and to others.
func (c *conn) cork() {
	if c.stream == nil {
		c.h.poller.cork.open()
	}
}

func (c *conn) uncork() {
	if c.stream == nil {
		c.h.poller.cork.yield()
	}
}

// held is what waits for the end of a batch: frames of one connection, or one that many share.
type held struct {
	b      []byte
	shared bool // nobody changes it
}

// hold keeps b for the end of the batch, if there is one. It may be kept as shared, which holds the same. c.mu is held.
func (c *conn) hold(b []byte, shared *held) bool {
	first := c.corked
	if first == nil {
		if len(b) > mostCork || !c.h.poller.cork.take(c) {
			return false
		}
		if c.corked = shared; shared != nil {
			return true
		}
	}
	if first == nil || first.shared {
		c.corked = c.h.buffers.held()
	}
	if first != nil && first.shared {
		c.corked.b = append(c.corked.b, first.b...)
	}
	c.corked.b = append(c.corked.b, b...)
	if len(c.corked.b) > mostCork {
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
