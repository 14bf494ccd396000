//go:build linux

package faults_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/bachata-go/bachata/internal/faults/checker"
	"github.com/bachata-go/bachata/internal/faults/client"
	"github.com/bachata-go/bachata/internal/faults/proc"
)

// TestPause stops the server (SIGSTOP) for a second, again and again, under load: nothing is lost, and nobody is given
// up for it.
func TestPause(t *testing.T) {
	t.Parallel()
	server := newServer(t, proc.Options{})
	start(t, server)
	s := newScene(t, "all")
	s.joinAll(t, server.Addr(), "anna", "bob", "carl")
	before := s.dialed()
	stop := s.loadUntil(t, 5*time.Millisecond, *seed)
	for range 3 {
		pace(t.Context(), 200*time.Millisecond)
		if err := server.Pause(); err != nil {
			t.Fatal(err)
		}
		pace(t.Context(), time.Second)
		if err := server.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	pace(t.Context(), 200*time.Millisecond)
	stop()
	if got := s.dialed(); !slices.Equal(got, before) {
		t.Errorf("clients have dialed %d times, before %d: a pause is no reason to lose a connection", got, before)
	}
	s.settle(t)
	t.Log(s.judge(t, serverWindow))
}

// TestStop ends the server with SIGTERM under load, so that it drains, and starts it again: a deploy.
func TestStop(t *testing.T) {
	t.Parallel()
	server := newServer(t, proc.Options{})
	start(t, server)
	s := newScene(t, "all")
	s.joinAll(t, server.Addr(), "anna", "bob", "carl")
	stop := s.loadUntil(t, 5*time.Millisecond, *seed)
	for range 3 {
		pace(t.Context(), 300*time.Millisecond)
		began := time.Now()
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
		t.Logf("drained in %v", time.Since(began).Round(time.Millisecond))
		start(t, server)
	}
	pace(t.Context(), 300*time.Millisecond)
	stop()
	s.settle(t)
	t.Log(s.judge(t, serverWindow))
}

// TestSimple kills a server in simple mode under load. Messages may be lost then, and what is sent again is another
// message; but nothing is made up, and what comes is in order.
func TestSimple(t *testing.T) {
	t.Parallel()
	server := newServer(t, proc.Options{Args: []string{"--simple"}})
	start(t, server)
	s := newScene(t, "all")
	s.joinAll(t, server.Addr(), "anna", "bob", "carl")
	random := rand.New(rand.NewPCG(*seed, 4))
	stop := s.loadUntil(t, 5*time.Millisecond, random.Uint64())
	for range 5 {
		pace(t.Context(), between(random, 100, 300))
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
		start(t, server)
	}
	pace(t.Context(), 200*time.Millisecond)
	stop()
	ctx, cancel := context.WithTimeout(t.Context(), settleTime)
	defer cancel()
	if err := s.each(func(c *client.Client) error { return c.Answered(ctx) }); err != nil {
		t.Errorf("wait for answers: %v", err)
	}
	t.Log(s.judge(t, checker.Options{Simple: true}))
}
