package bachata

import "sync/atomic"

// runner runs the work of its owner in a goroutine of its own, which exists only while there is something to do. Kicks
// that come while it runs make it run once more. The zero runner is idle.
type runner struct{ state atomic.Int32 }

const (
	runnerIdle int32 = iota
	runnerRunning
	runnerAgain
)

type worker interface{ work() }

// kick has w's work done soon. It does not block.
func (r *runner) kick(c *Center, w worker) {
	for {
		switch r.state.Load() {
		case runnerAgain:
			return
		case runnerRunning:
			if r.state.CompareAndSwap(runnerRunning, runnerAgain) {
				return
			}
		case runnerIdle:
			if !r.state.CompareAndSwap(runnerIdle, runnerRunning) {
				continue
			}
			r.start(c, w)
			return
		}
	}
}

// start runs w from the running state on.
func (r *runner) start(c *Center, w worker) {
	if !c.enter() {
		return
	}
	go func() {
		defer c.leave()
		for {
			w.work()
			if r.state.CompareAndSwap(runnerRunning, runnerIdle) {
				return
			}
			r.state.Store(runnerRunning)
		}
	}()
}
