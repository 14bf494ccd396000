package bachata

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

var errPaused = errors.New("bachata: client has left too much unread")

const (
	monitorTick = time.Millisecond
	poolTime    = time.Second // that connections are handled by the pool after something was held up
)

// monitor looks at the workers of an epoll every millisecond, while they have something to do.
type monitor struct {
	e      *epoll
	always bool         // every connection is handled by the pool
	until  atomic.Int64 // so long too, in Unix nanoseconds
	runs   atomic.Bool  // the timer is set

	mu      sync.Mutex
	workers []*pollWorker
	timer   *time.Timer
	batches uint64 // that had begun a tick ago
}

func (m *monitor) init(e *epoll, always bool) {
	m.e, m.always = e, always
}

func (m *monitor) add(w *pollWorker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.workers = append(m.workers, w)
}

// remove is the last thing that a worker does. The last worker closes the epoll.
func (m *monitor) remove(w *pollWorker) {
	m.mu.Lock()
	defer m.mu.Unlock()
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

// help starts a worker more, if the machine has a processor for it.
func (m *monitor) help() {
	m.mu.Lock()
	full := len(m.workers) >= runtime.GOMAXPROCS(0)
	m.mu.Unlock()
	if !full {
		m.e.start(true)
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

// tick retires workers that have not gone on since the last one.
func (m *monitor) tick() {
	rest, heldUp := m.look()
	for range heldUp {
		m.e.p.cork.close() // in place of the worker
	}
	for _, r := range rest {
		if r.begin() {
			m.e.p.serve(r.conn)
		}
	}
}

// look retires those workers, and returns the events that they have not begun with, and how many workers that were.
func (m *monitor) look() (rest []ready, heldUp int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var batches uint64
	for i, w := range m.workers {
		at := w.at.Load()
		batches += at / batchOne
		if at&lengthMask != 0 && at == w.last && w.at.CompareAndSwap(at, at|retired) {
			rest = append(rest, w.rest(at)...)
			clear(w.rest(at))
			m.until.Store(time.Now().Add(poolTime).UnixNano())
			heldUp++
			next := &pollWorker{e: m.e, helper: w.helper}
			m.workers[i] = next
			go next.run()
			continue
		}
		w.last = at
	}
	if batches == m.batches && !m.busy() {
		m.runs.Store(false)
		if !m.busy() || !m.runs.CompareAndSwap(false, true) {
			return rest, heldUp
		}
	}
	m.batches = batches
	m.timer.Reset(monitorTick)
	return rest, heldUp
}

// busy reports whether a worker handles something. m.mu is held.
func (m *monitor) busy() bool {
	return slices.ContainsFunc(m.workers, func(w *pollWorker) bool { return w.at.Load()&lengthMask != 0 })
}
