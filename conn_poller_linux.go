package bachata

import (
	"crypto/tls"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
)

// poller reads for the connections of a handler that are polled. It has one epoll while there are any, and a worker
// that waits for its events and handles them itself, connection by connection: a readable socket costs no switch
// between goroutines. What an application's hooks and routes may do to that, the poller sees to:
//
//   - When there is more to do than one worker gets done, others help (monitor.help).
//   - A queue that waits for a disk is waited for once, at the end of a batch of events (Batcher). If that takes long, the
//     worker's place is another's meanwhile.
//   - A worker that is held up by a hook loses the rest of its events, and its place, to others (monitor).
//   - Where much is held up, or where each call to the queue waits for a server, each connection is handled by a goroutine
//     of a pool (hands).
//
// A connection is handled by one goroutine at a time (conn.claim). Events are edge-triggered: whoever handles one reads
// until there is nothing more.
type poller struct {
	hands hands
	cork  cork
	idle  func() bool // a processor is; nil: the kernel is asked, by each epoll

	mu    sync.Mutex
	conns []*conn // by descriptor
	count int     // of those that have not gone
	epoll *epoll  // nil without any
}

// epoll is a kernel's epoll, and who waits for its events.
type epoll struct {
	p    *poller
	fd   int
	stop int32 // signalled when the last connection has gone

	batches bool // what the connections of a batch put and pop is waited for together, at its end

	processors processors
	idle       func() bool // one of the processors is

	stopped atomic.Bool
	monitor monitor
}

const (
	mostOwed = 1024 // messages and confirmations that a batch waits for together

	inputEvents  = syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLET&0xffffffff
	outputEvents = inputEvents | syscall.EPOLLOUT
	endEvents    = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
)

// adopt takes the descriptor of nc away from package net, and watches it. The events that come before c.start are kept.
// It returns false if that can't be had; nc is then as it was.
func (p *poller) adopt(c *conn, nc net.Conn) bool {
	secure, _ := nc.(*tls.Conn)
	below := nc
	if secure != nil {
		below = secure.NetConn()
		if _, ok := below.(*wire); !ok {
			return false // it would wait
		}
	}
	raw := rawConn(below)
	if raw == nil {
		return false
	}
	fd := int32(-1)
	if err := raw.Control(func(old uintptr) { fd, _ = duplicate(old) }); err != nil || fd < 0 {
		return false
	}
	if !p.join(c, fd) {
		_ = syscall.Close(int(fd))
		return false
	}
	c.fd, c.tls = fd, secure
	_ = below.Close() // which leaves the connection itself open
	if w, ok := below.(*wire); ok {
		w.tcp, w.conn = nil, c
	}
	if c.h.PingInterval > 0 {
		noKeepAlive(fd) // our own pings find who is gone
	}
	return true
}

func (p *poller) join(c *conn, fd int32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoll == nil && !p.open(c.h) {
		return false
	}
	if missing := int(fd) + 1 - len(p.conns); missing > 0 {
		p.conns = append(p.conns, slices.Repeat([]*conn{nil}, missing)...)
	}
	if err := epollControl(p.epoll.fd, syscall.EPOLL_CTL_ADD, fd, inputEvents); err != nil {
		if p.count == 0 {
			p.shut()
		}
		return false
	}
	p.conns[fd] = c
	p.count++
	return true
}

// watchOutput has the connection told when the kernel takes more.
func (p *poller) watchOutput(fd int32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return epollControl(p.epoll.fd, syscall.EPOLL_CTL_MOD, fd, outputEvents)
}

// close closes the descriptor of a connection. An event that is under way may still name it; it then means the
// descriptor's next owner, who looks in vain.
func (p *poller) close(fd int32) {
	p.mu.Lock()
	p.conns[fd] = nil
	p.mu.Unlock()
	_ = syscall.Close(int(fd))
}

// leave is called once for each connection that has gone.
func (p *poller) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count--; p.count == 0 {
		p.shut()
	}
}

// serve has a goroutine of the pool read from c, which the caller has claimed.
func (p *poller) serve(c *conn) { p.hands.serve(c) }

// open begins to wait for events. p.mu is held.
func (p *poller) open(h *Handler) bool {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	e := &epoll{p: p, fd: fd}
	if e.stop, err = newEvent(); err == nil {
		if err = epollControl(fd, syscall.EPOLL_CTL_ADD, e.stop, syscall.EPOLLIN); err != nil {
			_ = syscall.Close(int(e.stop))
		}
	}
	if err != nil {
		_ = syscall.Close(fd)
		return false
	}
	p.hands.open()
	p.epoll, p.conns = e, nil
	_, batches := h.Center.queue.(Batcher)
	immediate := h.Center.queue.Info().Immediate
	e.batches = batches && !immediate
	e.processors = openProcessors(runtime.NumCPU())
	if e.idle = p.idle; e.idle == nil {
		e.idle = e.processors.idle
	}
	e.monitor.init(e, !batches && !immediate)
	e.start(false)
	return true
}

// shut ends the waiting. p.mu is held.
func (p *poller) shut() {
	p.epoll.stopped.Store(true)
	signal(p.epoll.stop)
	p.epoll, p.conns = nil, nil
	p.hands.close()
}

// resolve finds the connections that events name.
func (p *poller) resolve(e *epoll, events []syscall.EpollEvent, batch []ready) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoll != e {
		return 0
	}
	n := 0
	for _, event := range events {
		if c := p.conns[event.Fd]; event.Fd != e.stop && c != nil {
			batch[n] = ready{conn: c, events: event.Events}
			n++
		}
	}
	return n
}

// close gives the descriptors back.
func (e *epoll) close() {
	_ = syscall.Close(e.fd)
	_ = syscall.Close(int(e.stop))
	e.processors.close()
}
