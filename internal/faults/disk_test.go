//go:build linux

package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/bachata-go/bachata/internal/faults/checker"
	"github.com/bachata-go/bachata/internal/faults/client"
	"github.com/bachata-go/bachata/internal/faults/proc"
)

// TestDiskFull fills the disk of the server with messages that nobody confirms. Senders are refused with a reason, the
// health check is red, and so it stays when the server is killed and started again. Receivers can confirm all the
// time, however late; what they confirm gives the room back, and what was refused is taken. Nothing that was accepted is
// lost.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	server := newServer(t, proc.Options{
		Dir:  filepath.Join(mountTmpfs(t, "200m"), "queue"), // room for three segments of 64 MiB
		Args: []string{"--inbox-messages", "1000000", "--inbox-bytes", "1GiB"},
	})
	start(t, server)
	s := newScene(t, "all")
	o := func(n uint64) client.Options {
		return client.Options{Addr: server.Addr(), Unanswered: 32, Seed: *seed + n} // all of them are sent again and again
	}
	anna := s.join(t, "anna", o(0))
	bob := s.join(t, "bob", o(1))
	carl := s.join(t, "carl", o(2))
	dora := s.join(t, "dora", o(3))
	bob.Hold(true)
	carl.Hold(true)
	ctx, cancel := context.WithTimeout(t.Context(), 4*settleTime)
	defer cancel()

	expectHealth(t, server, http.StatusOK)
	fill(ctx, t, anna, 60_000, "bob", "carl")
	fill(ctx, t, dora, 100, "bob", "carl") // what is left is too small for a large one, and enough for many health checks
	expectHealth(t, server, http.StatusServiceUnavailable)
	for range 3 {
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
		start(t, server)
		expectRefusals(ctx, t, anna)
		expectRefusals(ctx, t, dora)
		expectHealth(t, server, http.StatusServiceUnavailable)
	}

	pace(ctx, 2500*time.Millisecond) // the server looks each second what it could give back, and finds nothing
	bob.Hold(false)
	carl.Hold(false)
	for _, c := range []*client.Client{anna, dora} {
		if err := c.Answered(ctx); err != nil {
			t.Errorf("there is room again, but not all was taken: %v", err)
		}
	}
	expectHealth(t, server, http.StatusOK)
	s.settle(t)
	report := s.judge(t, checker.Options{WindowMessages: 1000, WindowBytes: 4 << 20})
	t.Logf("seed %d: %s", *seed, report)
}

// fill sends messages of size bytes to dests, in turns, until the sender is refused as unavailable.
func fill(ctx context.Context, t *testing.T, c *client.Client, size int, dests ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	var sending sync.WaitGroup
	sending.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			text := fmt.Appendf(nil, `"%0*d"`, size, i)
			if _, err := c.Send(ctx, dests[i%len(dests)], text); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	if err := c.AwaitRefusal(ctx, "unavailable", 1); err != nil {
		t.Errorf("the disk is full, and the sender was not refused: %v", err)
	} else if c.Reason("unavailable") == "" {
		t.Error("refused without a reason")
	}
	cancel()
	sending.Wait()
}

// expectRefusals waits until what c sends again is refused again.
func expectRefusals(ctx context.Context, t *testing.T, c *client.Client) {
	t.Helper()
	if err := c.AwaitRefusal(ctx, "unavailable", c.Refusals("unavailable")+1); err != nil {
		t.Errorf("the disk is full, and the sender was not refused: %v", err)
	}
}

// expectHealth asks /healthz until it answers status; a report is up to a second old.
func expectHealth(t *testing.T, server *proc.Server, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), settleTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got, body, err := server.Health(ctx)
		var report struct{ Status, Failed, Reason string }
		switch {
		case err != nil:
		case got != status:
			err = fmt.Errorf("status %d: %s", got, body)
		case status == http.StatusOK:
			return
		default:
			if err = json.Unmarshal([]byte(body), &report); err == nil && report.Failed == "put" && report.Reason != "" {
				return
			}
			err = fmt.Errorf("status %d does not say what failed: %s", got, body)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Errorf("Health() = %v, want status %d", err, status)
			return
		}
	}
}
