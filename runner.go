package bachata

import (
	"context"
	"runtime"
	"sync/atomic"
)

// runner runs the work of its owner in one goroutine at a time, which exists only while there is something to do. Kicks
// that come while it runs make it run once more. The zero runner is idle.
type runner struct{ state atomic.Int32 }

const (
	runnerIdle int32 = iota
	runnerRunning
	runnerAgain
)

type worker interface{ work(d *delivery) }

// kick has w's work done soon. It does not block.
func (r *runner) kick(c *Center, w worker) {
	if r.claim() {
		r.start(c, w)
	}
}

// claim reports whether the caller has to have the work done: if not, somebody does it who looks once more.
func (r *runner) claim() bool {
	for {
		switch r.state.Load() {
		case runnerAgain:
			return false
		case runnerRunning:
			if r.state.CompareAndSwap(runnerRunning, runnerAgain) {
				return false
			}
		case runnerIdle:
			if r.state.CompareAndSwap(runnerIdle, runnerRunning) {
				return true
			}
		}
	}
}

// start runs w in a goroutine of its own; the caller has claimed it.
func (r *runner) start(c *Center, w worker) {
	if !c.enter() {
		return
	}
	go func() {
		defer c.leave()
		c.run(r, w)
	}()
}

// run does r's work; the caller has claimed it.
func (c *Center) run(r *runner, w worker) {
	d := c.deliveries.Get().(*delivery)
	r.run(w, d)
	d.release(c)
}

// run does the work with d; the caller has claimed it.
func (r *runner) run(w worker, d *delivery) {
	for {
		w.work(d)
		if !r.again() {
			return
		}
	}
}

// again ends a round of the work, and reports whether there is to be another.
func (r *runner) again() bool {
	if r.state.CompareAndSwap(runnerRunning, runnerIdle) {
		return false
	}
	r.state.Store(runnerRunning)
	return true
}

// cause is the context of a call to the queue whose goroutine does itself what the call makes necessary: whoever is
// woken within the call is noted, and run afterwards. That spares a goroutine for each.
type cause struct {
	context.Context
	center *Center
	keeps  bool // run will be called, whatever comes
	woken  []woken
}

// woken is a claimed runner and what it runs: a hub may have been handed a message, which goes before.
type woken struct {
	runner *runner
	worker worker
	taken  []byte
}

// wake has w's work done: by the goroutine of the cause, if the center has such a one, else by one of its own.
func (r *runner) wake(ctx context.Context, c *Center, w worker) {
	if !r.claim() {
		return
	}
	if by, ok := ctx.(*cause); ok && by.center == c && c.inline {
		by.woken = append(by.woken, woken{runner: r, worker: w})
		return
	}
	r.start(c, w)
}

// wokenAlone is how many woken sessions a goroutine serves before others help it: some 10 ms of work. Help makes the last
// of them have it sooner, and every one cost more.
const wokenAlone = 2048

// run does what was noted. The caller has entered the center.
func (k *cause) run() {
	list := k.woken
	if len(list) == 0 {
		return
	}
	if k.woken = list[:0]; len(list) > wokenAlone {
		k.woken = nil // others still read it
		share := max(wokenAlone, (len(list)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
		for len(list) > share {
			if !k.center.serve(list[:share]) {
				k.center.runAll(list[:share])
			}
			list = list[share:]
		}
	}
	k.center.runAll(list)
	if k.woken != nil {
		clear(list)
	}
}

// serve runs list in a goroutine, one after the other. It reports false if the center is closed.
func (c *Center) serve(list []woken) bool {
	if !c.enter() {
		return false
	}
	go func() {
		defer c.leave()
		c.runAll(list)
	}()
	return true
}

func (c *Center) runAll(list []woken) {
	d := c.deliveries.Get().(*delivery)
	defer d.release(c)
	for i := range list {
		w := &list[i]
		if w.taken != nil {
			w.worker.(*hub).serve(w.taken, d)
			continue
		}
		w.runner.run(w.worker, d)
	}
}
