//go:build linux

package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/bachata-go/bachata/internal/faults/checker"
	"github.com/bachata-go/bachata/internal/faults/client"
	"github.com/bachata-go/bachata/internal/faults/proc"
)

// serverWindow is the window that the server has by default.
var serverWindow = checker.Options{WindowMessages: 1000, WindowBytes: 4 << 20, MemoryBytes: 1 << 30}

// TestKillRounds kills the server at random moments under load, also while it recovers. All rounds share one directory,
// so that each recovers what those before it left. The full count is 200 rounds.
func TestKillRounds(t *testing.T) {
	t.Parallel()
	killRounds(t, roundsOr(usualRounds), proc.Options{})
}

// TestKillRoundsPortable is TestKillRounds on the portable driver of connections, a quarter of it.
func TestKillRoundsPortable(t *testing.T) {
	t.Parallel()
	killRounds(t, max(1, roundsOr(usualRounds)/4), proc.Options{Args: []string{"--portable"}})
}

func killRounds(t *testing.T, rounds int, o proc.Options) {
	t.Helper()
	server := newServer(t, o)
	var sum checker.Report
	kills, recovering := 0, 0
	for round := range rounds {
		s := newScene(t, fmt.Sprintf("round-%03d", round))
		random := rand.New(rand.NewPCG(*seed, uint64(round)))
		start(t, server)
		for i, name := range []string{"anna", "bob", "carl", "dora"} {
			s.join(t, fmt.Sprintf("%s-%d", name, round), client.Options{
				Addr:    server.Addr(),
				Sockets: 1 + i%2, // bob and dora have two
				Seed:    random.Uint64(),
			})
		}
		k, r := s.killUnderLoad(t, server, random)
		kills, recovering = kills+k, recovering+r
		s.settle(t)
		if _, err := server.Memory(); err != nil {
			t.Error(err)
		}
		report := s.judge(t, serverWindow)
		add(&sum, report)
		if err := server.Kill(); err != nil { // also with nothing to do, and what is left from the round in its log
			t.Error(err)
		}
		kills++
		if t.Failed() {
			t.Fatalf("round %d of seed %d: %s", round, *seed, report)
		}
	}
	t.Logf("seed %d: %d rounds, %d kills, %d of them within 30 ms of a start; %s", *seed, rounds, kills, recovering, sum)
}

// killUnderLoad runs the load for 300 to 1000 ms, in which the server is killed and started again once to three times,
// and one client cuts its own connections now and then. It returns how many kills there were, and how many came within
// 30 ms of a start, when it mostly still recovers. At the end the server runs.
func (s *scene) killUnderLoad(t *testing.T, server *proc.Server, random *rand.Rand) (kills, recovering int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	loaded := make(chan error, 1)
	loadSeed := random.Uint64()
	go func() { loaded <- s.load(ctx, 8*time.Millisecond, loadSeed) }()

	for range 1 + random.IntN(3) {
		pace(ctx, between(random, 50, 250))
		if random.IntN(3) == 0 {
			s.clients[0].Reconnect()
		}
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
		kills++
		for range random.IntN(3) {
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
			pace(ctx, between(random, 0, 30))
			if err := server.Kill(); err != nil {
				t.Error(err)
			}
			kills++
			recovering++
		}
		start(t, server)
	}
	pace(ctx, between(random, 50, 250))
	cancel()
	if err := <-loaded; err != nil {
		t.Error(err)
	}
	return kills, recovering
}

// between returns a time from min to max milliseconds.
func between(random *rand.Rand, min, max int) time.Duration {
	return time.Duration(min)*time.Millisecond + time.Duration(random.Int64N(int64(max-min)*int64(time.Millisecond)))
}

// pace lets the load run for d.
func pace(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func add(sum *checker.Report, r checker.Report) {
	sum.Sent += r.Sent
	sum.Resent += r.Resent
	sum.Accepted += r.Accepted
	sum.Shown += r.Shown
	sum.Receipts += r.Receipts
	sum.Repeats += r.Repeats
	sum.Conns += r.Conns
}
