package bachata

import (
	"sync"
	"time"
)

// hands are the goroutines that read where a worker would be held up. Who was busy last is busy next: its stack has
// grown already. Those that have had nothing to do for some seconds end.
type hands struct {
	mu     sync.Mutex
	idle   []*hand
	closed bool
	timer  *time.Timer // set while there are idle ones
	least  int         // idle ones that had nothing to do since the timer was set
}

type hand struct{ work chan *conn }

const handRest = 3 * time.Second

// serve has c read, which the caller has claimed.
func (p *hands) serve(c *conn) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		h := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.least = min(p.least, n-1)
		p.mu.Unlock()
		h.work <- c
		return
	}
	p.mu.Unlock()
	go p.run(c)
}

func (p *hands) run(c *conn) {
	h := &hand{work: make(chan *conn, 1)}
	for c != nil {
		c.run(nil)
		if !p.rest(h) {
			return
		}
		c = <-h.work
	}
}

// rest makes h idle, unless it is to end.
func (p *hands) rest(h *hand) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.idle = append(p.idle, h)
	if p.timer == nil {
		p.least = 0
		p.timer = time.AfterFunc(handRest, p.reap)
	}
	return true
}

// reap ends those that had nothing to do since it was called last.
func (p *hands) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.timer == nil {
		return // it was stopped, too late
	}
	p.end(min(p.least, len(p.idle)))
	if len(p.idle) == 0 {
		p.timer = nil
		return
	}
	p.least = len(p.idle)
	p.timer.Reset(handRest)
}

// end ends n of the idle ones, which have been that for longest. p.mu is held.
func (p *hands) end(n int) {
	for _, h := range p.idle[:n] {
		h.work <- nil
	}
	rest := copy(p.idle, p.idle[n:])
	clear(p.idle[rest:])
	p.idle = p.idle[:rest]
}

func (p *hands) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = false
}

// close ends all, also those that are busy now, when they are done.
func (p *hands) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.end(len(p.idle))
	p.least = 0
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}
