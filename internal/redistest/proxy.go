package redistest

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP proxy between a client and a server, which can fail in the ways of a network.
type Proxy struct {
	listener net.Listener

	mu     sync.Mutex
	cond   *sync.Cond
	target string
	frozen bool // what is sent stays in the proxy, connections stay open
	age    int  // of connections: what is sent on older ones stays in the proxy for good
	broken bool // connections are closed, and new ones at once
	delay  time.Duration
	conns  map[net.Conn]bool
	closed bool
	wg     sync.WaitGroup
}

// NewProxy listens on a port of its own and passes everything on to target, until the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: target, listener: l, conns: map[net.Conn]bool{}}
	p.cond = sync.NewCond(&p.mu)
	p.wg.Go(p.accept)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// Addr is the proxy's address.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Freeze keeps connections open and passes nothing on; Heal ends it.
func (p *Proxy) Freeze() { p.set(func() { p.frozen = true }) }

// Strand keeps the connections that there are open and passes nothing on from now on; new ones are as before.
func (p *Proxy) Strand() { p.set(func() { p.age++ }) }

// Break closes all connections, and new ones at once; Heal ends it.
func (p *Proxy) Break() { p.set(func() { p.broken = true; p.cut() }) }

// Cut closes all connections once.
func (p *Proxy) Cut() { p.set(p.cut) }

// Lead has new connections lead to target.
func (p *Proxy) Lead(target string) { p.set(func() { p.target = target }) }

// Delay holds up everything that is passed on.
func (p *Proxy) Delay(d time.Duration) { p.set(func() { p.delay = d }) }

// Heal passes everything on again, what was held up first.
func (p *Proxy) Heal() { p.set(func() { p.frozen, p.broken, p.delay = false, false, 0 }) }

func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.cond.Broadcast()
}

func (p *Proxy) cut() {
	for c := range p.conns {
		_ = c.Close()
	}
}

// Close ends the proxy.
func (p *Proxy) Close() error {
	p.set(func() { p.closed = true; p.cut() })
	err := p.listener.Close()
	p.wg.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		if !p.add(c) {
			_ = c.Close()
			continue
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

func (p *Proxy) add(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken || p.closed {
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) serve(c net.Conn) {
	defer p.drop(c)
	p.mu.Lock()
	target, age := p.target, p.age
	p.mu.Unlock()
	s, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	if !p.add(s) {
		_ = s.Close()
		return
	}
	defer p.drop(s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.pass(s, c, age)
		_ = c.Close()
		_ = s.Close()
	}()
	p.pass(c, s, age)
	_ = c.Close()
	_ = s.Close()
	<-done
}

func (p *Proxy) pass(dst io.Writer, src io.Reader, age int) {
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			p.mu.Lock()
			for (p.frozen || p.age > age) && !p.closed {
				p.cond.Wait()
			}
			delay := p.delay
			p.mu.Unlock()
			if delay > 0 {
				time.Sleep(delay)
			}
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
