// Package proxy stands between clients and a server and does what networks do: it cuts connections in the middle of a
// frame, lets them go silent, and is slow.
package proxy

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Proxy passes connections on to one address. Its methods may be called concurrently.
type Proxy struct {
	target   string
	listener net.Listener
	ended    sync.WaitGroup

	mu     sync.Mutex
	random *rand.Rand
	delay  time.Duration
	pairs  map[*pair]bool
	total  int
	closed bool
}

// pair is one connection: the client's half and the server's.
type pair struct {
	client, server net.Conn
	ended          chan struct{} // closed when the server's half has ended

	mu    sync.Mutex
	quiet bool // nothing is passed on any more, nor is an end
	quota int  // bytes that are still passed on, in both directions together; negative: all
}

// New listens on a port of the loopback address and passes on to target. The choices come from seed.
func New(target string, seed uint64) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	p := &Proxy{target: target, listener: l, random: rand.New(rand.NewPCG(seed, 1)), pairs: make(map[*pair]bool)}
	p.ended.Go(p.accept)
	return p, nil
}

// Addr returns where the proxy listens, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Total returns how many connections there have been.
func (p *Proxy) Total() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

// Delay has everything wait for d before it is passed on.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Cut cuts every connection that there is after 0 to 299 more bytes, wherever in a frame that is, and returns how many
// it had not cut before. One on which nothing moves lives on until something does.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for pair := range p.pairs {
		pair.mu.Lock()
		if pair.quota < 0 {
			pair.quota = p.random.IntN(300)
			n++
		}
		pair.mu.Unlock()
	}
	return n
}

// Silence stops passing anything on for every connection that there is, without closing it: each side is left half open,
// even if the other ends. The channel returned is closed when the server has given up all of them.
func (p *Proxy) Silence() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	var waits []<-chan struct{}
	for pair := range p.pairs {
		pair.mu.Lock()
		pair.quiet = true
		pair.mu.Unlock()
		waits = append(waits, pair.ended)
	}
	gone := make(chan struct{})
	p.ended.Go(func() {
		for _, w := range waits {
			<-w
		}
		close(gone)
	})
	return gone
}

// Close ends all connections and waits until they have ended. It may be called twice.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	_ = p.listener.Close() // it ends either way
	for pair := range p.pairs {
		pair.cut()
	}
	p.mu.Unlock()
	p.ended.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.ended.Go(func() { p.pass(client) })
	}
}

// pass handles one connection.
func (p *Proxy) pass(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close() // as a server that is away would
		return
	}
	pair := &pair{client: client, server: server, ended: make(chan struct{}), quota: -1}
	p.mu.Lock()
	if p.closed {
		pair.cut()
	}
	p.pairs[pair] = true
	p.total++
	p.mu.Unlock()

	var halves sync.WaitGroup
	halves.Go(func() { p.copy(pair, server, client) })
	halves.Go(func() {
		p.copy(pair, client, server)
		close(pair.ended)
	})
	halves.Wait()
	pair.cut()
	p.mu.Lock()
	delete(p.pairs, pair)
	p.mu.Unlock()
}

// copy passes on what from sends, until from ends. What a silent pair sends is read and thrown away, as if it were
// lost on the way.
func (p *Proxy) copy(pair *pair, to, from net.Conn) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if pair.isQuiet() {
			if err != nil {
				return
			}
			continue
		}
		p.wait()
		n, whole := pair.take(n)
		if n > 0 {
			if _, werr := to.Write(buffer[:n]); werr != nil && err == nil {
				err = werr
			}
		}
		if pair.isQuiet() {
			continue // the other half may have ended because of that
		}
		if err != nil || !whole {
			pair.cut()
			return
		}
	}
}

func (p *Proxy) wait() {
	p.mu.Lock()
	d := p.delay
	p.mu.Unlock()
	if d > 0 {
		time.Sleep(d)
	}
}

// take returns how much of n bytes is passed on, and whether that is all.
func (pair *pair) take(n int) (int, bool) {
	pair.mu.Lock()
	defer pair.mu.Unlock()
	if pair.quota < 0 {
		return n, true
	}
	m := min(n, pair.quota)
	pair.quota -= m
	return m, m == n
}

func (pair *pair) isQuiet() bool {
	pair.mu.Lock()
	defer pair.mu.Unlock()
	return pair.quiet
}

// cut ends both halves.
func (pair *pair) cut() {
	_ = pair.client.Close() // they end either way
	_ = pair.server.Close()
}
