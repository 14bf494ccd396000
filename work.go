package bachata

import (
	"sync"
	"sync/atomic"
)

// work counts the goroutines that a center waits for. Every read of a socket enters and leaves: two atomic additions,
// on a cache line that nothing else is on.
type work struct {
	_     [64]byte
	state atomic.Int64 // how many there are, and workClosed
	_     [64]byte
	ended sync.Once
	done  chan struct{} // closed when it is closed and none is left
}

// workClosed is more than there can be goroutines.
const workClosed = 1 << 40

// close lets no more in.
func (w *work) close() {
	if w.state.Or(workClosed)&^workClosed == 0 {
		w.end()
	}
}

func (w *work) end() { w.ended.Do(func() { close(w.done) }) }

// enter counts a goroutine that Close waits for; it reports false if the center is closed.
func (c *Center) enter() bool {
	if c.work.state.Add(1)&workClosed == 0 {
		return true
	}
	c.leave()
	return false
}

func (c *Center) leave() {
	if c.work.state.Add(-1) == workClosed {
		c.work.end()
	}
}
