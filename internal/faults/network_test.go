//go:build linux

package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/bachata-go/bachata/internal/faults/client"
	"github.com/bachata-go/bachata/internal/faults/proc"
	"github.com/bachata-go/bachata/internal/faults/proxy"
)

// TestCut cuts connections wherever a frame happens to be, in either direction, again and again, while messages go on,
// also over a slow line. The server lives through it all.
func TestCut(t *testing.T) {
	t.Parallel()
	s, server, line := throughProxy(t)
	random := rand.New(rand.NewPCG(*seed, 2))
	stop := s.loadUntil(t, 5*time.Millisecond, random.Uint64())
	cuts := 0
	for range 30 {
		line.Delay(time.Duration(random.IntN(3)) * time.Millisecond)
		pace(t.Context(), between(random, 20, 120))
		cuts += line.Cut()
	}
	stop()
	line.Delay(0)
	s.settle(t)
	report := s.judge(t, serverWindow)
	t.Logf("seed %d: %d of %d connections cut; %s", *seed, cuts, line.Total(), report)
	if status, body, err := server.Health(t.Context()); status != 200 {
		t.Errorf("Health() = %d, %q, %v, want 200", status, body, err)
	}
}

// TestHalfOpen leaves connections half open: the line goes dead without an end. The clients come back on others; the
// server finds the dead ones by itself, and what was on its way to them is neither lost nor doubled.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	s, _, line := throughProxy(t)
	stop := s.loadUntil(t, 5*time.Millisecond, *seed)
	pace(t.Context(), 300*time.Millisecond)
	began := time.Now()
	gone := line.Silence()
	pace(t.Context(), 300*time.Millisecond)
	for _, c := range s.clients {
		c.Reconnect()
	}
	pace(t.Context(), 300*time.Millisecond)
	stop()
	const limit = 60 * time.Second // 40 on a machine that has time for it
	select {
	case <-gone:
		t.Logf("the server gave up what was half open after %v", time.Since(began).Round(time.Millisecond))
	case <-time.After(limit - time.Since(began)):
		t.Errorf("half open connections were not found within %v", limit)
	}
	s.settle(t)
	t.Log(s.judge(t, serverWindow))
}

// TestStoppedReader has one receiver stop reading, with a tiny receive buffer, while more is sent to it than any buffer
// holds, and another stop confirming. The traffic of the others goes on, the server's memory stays bounded, and in the
// end both get everything.
func TestStoppedReader(t *testing.T) {
	t.Parallel()
	server := newServer(t, proc.Options{Args: []string{"--inbox-messages", "100000"}})
	start(t, server)
	s := newScene(t, "all")
	o := func(o client.Options) client.Options { o.Addr = server.Addr(); return o }
	anna := s.join(t, "anna", o(client.Options{Seed: *seed}))
	s.join(t, "bob", o(client.Options{Seed: *seed + 1}))
	deaf := s.join(t, "deaf", o(client.Options{Seed: *seed + 2, ReadBuffer: 2048}))
	mute := s.join(t, "mute", o(client.Options{Seed: *seed + 3}))
	ctx, cancel := context.WithTimeout(t.Context(), settleTime)
	defer cancel()
	for _, c := range s.clients {
		if err := c.AwaitOpen(ctx); err != nil {
			t.Fatal(err)
		}
	}
	deaf.StopReading(true)
	mute.Hold(true)
	random := rand.New(rand.NewPCG(*seed, 3))
	const messages, window = 3000, 1000
	text := fmt.Appendf(nil, `"%8000d"`, 0) // 24 MB in all to each
	var worst time.Duration
	for i := range messages {
		for _, dest := range []string{"deaf", "mute"} {
			if _, err := anna.Send(ctx, dest, text); err != nil {
				t.Fatal(err)
			}
		}
		if i%20 == 0 {
			began, seen := time.Now(), s.clients[1].Seen()
			if _, err := anna.Send(ctx, "bob", data(random)); err != nil {
				t.Fatal(err)
			}
			if err := s.clients[1].AwaitSeen(ctx, seen+1); err != nil {
				t.Fatalf("traffic of others stopped: %v", err)
			}
			worst = max(worst, time.Since(began))
		}
	}
	if err := anna.Answered(ctx); err != nil {
		t.Fatal(err)
	}
	memory, err := server.Memory()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("with 24 MB waiting for each of two: slowest message to another %v, server %d MB", worst.Round(time.Millisecond), memory>>20)
	if seen := mute.Seen(); seen > window {
		t.Errorf("without a 200, %d messages were written, the window is %d", seen, window)
	}
	deaf.StopReading(false)
	deaf.Reconnect()
	mute.Hold(false)
	s.settle(t)
	o2 := serverWindow
	o2.MemoryBytes = 200 << 20
	t.Log(s.judge(t, o2))
}

// throughProxy starts a server, and clients that reach it through a proxy.
func throughProxy(t *testing.T) (*scene, *proc.Server, *proxy.Proxy) {
	t.Helper()
	server := newServer(t, proc.Options{})
	start(t, server)
	line, err := proxy.New(server.Addr(), *seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(line.Close)
	s := newScene(t, "all")
	s.joinAll(t, line.Addr(), "anna", "bob", "carl")
	return s, server, line
}

// joinAll adds clients, every second of them with two sockets, and waits until they are connected.
func (s *scene) joinAll(t *testing.T, addr string, names ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), settleTime)
	defer cancel()
	for i, name := range names {
		c := s.join(t, name, client.Options{Addr: addr, Sockets: 1 + i%2, Seed: *seed + uint64(i)})
		if err := c.AwaitOpen(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// loadUntil runs the load until the function returned is called, which waits for its end.
func (s *scene) loadUntil(t *testing.T, tick time.Duration, seed uint64) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.load(ctx, tick, seed) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
