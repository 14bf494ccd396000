package client

import (
	"bytes"
	"io"
	"sync"
)

// gate lets a client stop reading.
type gate struct {
	mu     sync.Mutex
	change *sync.Cond
	shut   bool
}

func (g *gate) init() { g.change = sync.NewCond(&g.mu) }

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	g.change.Broadcast()
}

func (g *gate) open() { g.set(false) }

func (g *gate) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.shut {
		g.change.Wait()
	}
}

// gated reads when the gate is open. A read that has begun goes on.
type gated struct {
	io.Reader
	gate *gate
}

// Read waits at the gate first.
func (r *gated) Read(p []byte) (int, error) {
	r.gate.pass()
	return r.Reader.Read(p)
}

func bytesReader(b []byte) io.Reader { return bytes.NewReader(bytes.Clone(b)) }

// StopReading stops reading from all connections, or goes on.
func (c *Client) StopReading(stop bool) { c.gate.set(stop) }
