package bachata

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	monitorTick = time.Millisecond
	poolTime    = time.Second // that connections are handled by the pool after something was held up
	// busyTicks is what a worker which no hook holds up may take for one connection: with a message to thousands, or because
	// a queue on disk makes it wait for room.
	busyTicks = 3
	// restlessTime without a moment in which nothing was to do brings in another worker, whether or not a processor seems idle.
	restlessTime = time.Second
)

// monitor looks at the workers of an epoll every millisecond, while they have something to do.
type monitor struct {
	e      *epoll
	always bool         // every connection is handled by the pool
	until  atomic.Int64 // so long too, in Unix nanoseconds
	runs   atomic.Bool  // the timer is set

	restless atomic.Int64 // Unix nanoseconds: a worker was missed then, and none has found nothing to do since; or 0

	mu      sync.Mutex
	workers []*pollWorker
	spare   *pollWorker // one that has ended
	timer   *time.Timer
	batches uint64 // that had begun a tick ago
}

func (m *monitor) init(e *epoll, always bool) {
	m.e, m.always = e, always
}

// add returns a worker that is to run.
func (m *monitor) add(helper bool) *pollWorker {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.worker(helper)
	m.workers = append(m.workers, w)
	return w
}

// worker returns one that is not among the workers yet. m.mu is held.
func (m *monitor) worker(helper bool) *pollWorker {
	w := m.spare
	if m.spare = nil; w == nil {
		w = newWorker(m.e)
	}
	w.helper, w.last, w.ticks = helper, 0, 0
	w.at.Store(0)
	if w.input == nil {
		w.input = new(input)
	}
	return w
}

// remove is the last thing that a worker does. The last worker closes the epoll.
func (m *monitor) remove(w *pollWorker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spare = w
	i := slices.Index(m.workers, w)
	if i < 0 {
		return // it was retired
	}
	m.workers = slices.Delete(m.workers, i, i+1)
	if len(m.workers) == 0 {
		if m.timer != nil {
			m.timer.Stop()
		}
		m.e.close()
	}
}

// dispatching reports whether the pool is to handle what comes.
func (m *monitor) dispatching() bool {
	if m.always {
		return true
	}
	until := m.until.Load()
	return until != 0 && time.Now().UnixNano() < until
}

// help starts a worker more if there is a processor for it. If all of them are busy, with clients on this machine for instance,
// one more would be one more to take turns with, for milliseconds each.
func (m *monitor) help() {
	m.mu.Lock()
	full := len(m.workers) >= runtime.GOMAXPROCS(0)
	m.mu.Unlock()
	if !full && m.mayHelp() {
		m.e.start(true)
	}
}

// mayHelp reports whether a processor is idle, or all have been busy for long. It takes the time itself: the monitor looks
// late where processors are busy, and not at all while the pool handles what comes.
func (m *monitor) mayHelp() bool {
	if m.e.idle() {
		return true
	}
	now := time.Now().UnixNano()
	since := m.restless.Load()
	if since == 0 {
		m.restless.Store(now)
		return false
	}
	return now-since >= int64(restlessTime)
}

// rest is called when a worker finds nothing to do.
func (m *monitor) rest() {
	if m.restless.Load() != 0 {
		m.restless.Store(0)
	}
}

// watch sees to it that the monitor runs.
func (m *monitor) watch() {
	if !m.runs.Load() && m.runs.CompareAndSwap(false, true) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.timer == nil {
			m.timer = time.AfterFunc(monitorTick, m.tick)
		} else {
			m.timer.Reset(monitorTick)
		}
	}
}

// tick retires workers that have not gone on since the last one, and sees to what they leave.
func (m *monitor) tick() {
	p := m.e.p
	for _, l := range m.look() {
		p.cork.close() // in place of the worker
		p.serveAll(l.rest)
		p.release(l.again)
		if len(l.begun) > 0 {
			go func() { p.release(p.answer(nil, l.begun)) }()
		}
	}
}

// left is what a worker that is held up leaves to others.
type left struct {
	rest  []ready // events that it has not begun with
	begun []begun // what it would have answered
	again []*conn // what it would have read from next
}

// look retires workers, and returns what those leave that have not begun with all of their batch. One that answers does
// so to the end.
func (m *monitor) look() (list []left) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var batches uint64
	for i, w := range m.workers {
		at := w.at.Load()
		batches += at / batchOne
		if at&lengthMask != 0 && w.heldUp(at) && w.at.CompareAndSwap(at, at|retired) {
			if w.inHook.Load() || m.e.batches && !answering(at) {
				m.until.Store(time.Now().Add(poolTime).UnixNano())
			}
			if !answering(at) {
				list = append(list, w.leave(at))
			}
			if m.spare == nil && answering(at) {
				m.spare = newWorker(m.e)
				m.spare.input, w.input = w.input, nil
			}
			next := m.worker(w.helper)
			m.workers[i] = next
			go next.run()
			continue
		}
	}
	if batches == m.batches && !m.busy() {
		m.runs.Store(false)
		if !m.busy() || !m.runs.CompareAndSwap(false, true) {
			return list
		}
	}
	m.batches = batches
	m.timer.Reset(monitorTick)
	return list
}

// busy reports whether a worker handles something. m.mu is held.
func (m *monitor) busy() bool {
	return slices.ContainsFunc(m.workers, func(w *pollWorker) bool { return w.at.Load()&lengthMask != 0 })
}
