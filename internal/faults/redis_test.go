//go:build linux

package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bachata-go/bachata/internal/faults/checker"
	"github.com/bachata-go/bachata/internal/faults/client"
	"github.com/bachata-go/bachata/internal/faults/proc"
	"github.com/bachata-go/bachata/internal/redistest"
)

// redisTick is how often each client sends a burst. It is slower than on disk: three such loads share the machine.
const redisTick = 10 * time.Millisecond

// TestRedisTwoNodes has two nodes on one Redis, one server or a cluster, and kills one of the nodes at random moments
// under load, while the other goes on. All rounds share the Redis. The full count is 50 rounds.
func TestRedisTwoNodes(t *testing.T) {
	t.Parallel()
	t.Run("single", func(t *testing.T) {
		t.Parallel()
		r := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "everysec")
		twoNodes(t, "redis://"+r.Addr(), false)
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		c := redistest.StartCluster(t, 3, "--appendonly", "yes", "--appendfsync", "everysec")
		// A node that is killed leaves receipts on their way from one part of the cluster to another; the other node
		// carries them on after some seconds.
		twoNodes(t, "redis://"+strings.Join(c.Addrs(), ","), true)
	})
}

func twoNodes(t *testing.T, queue string, late bool) {
	t.Helper()
	nodes := newNodes(t, queue)
	var sum checker.Report
	kills := 0
	for round := range roundsOr(redisRounds) {
		random := rand.New(rand.NewPCG(*seed, uint64(round)))
		s := nodes.join(t, round, random)
		s.late = late
		stop := s.loadUntil(t, redisTick, random.Uint64())
		for range 1 + random.IntN(2) {
			pace(t.Context(), between(random, 50, 300))
			if random.IntN(3) == 0 {
				s.clients[0].Reconnect()
			}
			node := nodes[random.IntN(len(nodes))]
			if err := node.Kill(); err != nil {
				t.Error(err)
			}
			kills++
			pace(t.Context(), between(random, 0, 200)) // the other is alone
			start(t, node)
		}
		pace(t.Context(), between(random, 50, 300))
		stop()
		s.settle(t)
		report := s.judge(t, serverWindow)
		add(&sum, report)
		if t.Failed() {
			t.Fatalf("round %d of seed %d: %s", round, *seed, report)
		}
	}
	t.Logf("seed %d: %d rounds, %d kills of a node; %s", *seed, roundsOr(redisRounds), kills, sum)
}

// TestRedisKill kills the Redis, which writes all to disk before it answers, at random moments under load: what was
// accepted is there when it is back, what was not is refused and sent again, and no client loses its connection for it.
func TestRedisKill(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	nodes := newNodes(t, "redis://"+r.Addr())
	var sum checker.Report
	for round := range roundsOr(redisRounds) {
		random := rand.New(rand.NewPCG(*seed, uint64(round)))
		s := nodes.join(t, round, random)
		ctx, cancel := context.WithTimeout(t.Context(), settleTime)
		for _, c := range s.clients {
			if err := c.AwaitOpen(ctx); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		before := s.dialed()
		stop := s.loadUntil(t, redisTick, random.Uint64())
		pace(t.Context(), between(random, 50, 400))
		r.Kill()
		pace(t.Context(), between(random, 0, 200))
		r.Restart()
		pace(t.Context(), between(random, 50, 400))
		stop()
		if got := s.dialed(); !slices.Equal(got, before) {
			t.Errorf("clients have dialed %d times, before %d: the Redis being away is no reason to lose a connection", got, before)
		}
		s.settle(t)
		report := s.judge(t, serverWindow)
		add(&sum, report)
		if t.Failed() {
			t.Fatalf("round %d of seed %d: %s", round, *seed, report)
		}
	}
	t.Logf("seed %d: %d rounds, as many kills of the Redis; %s", *seed, roundsOr(redisRounds), sum)
}

// nodes are servers on one Redis.
type nodes []*proc.Server

func newNodes(t *testing.T, queue string) nodes {
	t.Helper()
	var all nodes
	for range 2 {
		node := newServer(t, proc.Options{Queue: queue})
		start(t, node)
		all = append(all, node)
	}
	return all
}

// join makes a scene with clients of all kinds: with a socket on either node or on both, some that stay with their node
// and some that go to the other when it is gone.
func (all nodes) join(t *testing.T, round int, random *rand.Rand) *scene {
	t.Helper()
	s := newScene(t, fmt.Sprintf("round-%03d", round))
	for i, name := range []string{"anna", "bob", "carl", "dora"} {
		first, second := all[i/2], all[1-i/2]
		s.join(t, fmt.Sprintf("%s-%d", name, round), client.Options{
			Addr:    first.Addr(),
			More:    []string{second.Addr()},
			Roam:    i != 1,  // bob has a socket on each
			Sockets: 1 + i%2, // bob and dora have two
			Seed:    random.Uint64(),
		})
	}
	return s
}
