//go:build linux

package faults_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/bachata-go/bachata/internal/faults/checker"
	"github.com/bachata-go/bachata/internal/faults/client"
)

// TestRandom lets careless clients of all kinds use a server in this process, which is set up at random, restarted, and
// whose clock jumps. Each round is a server of its own: on disk or in memory, simple or not, of one node or two, with small
// windows and inboxes or the usual ones. The clients have several sockets each, on all drivers, plain and with TLS;
// they write to each other and to groups, forget confirmations, break off, stop reading.
func TestRandom(t *testing.T) {
	t.Parallel()
	for round := range roundsOr(randomRounds) {
		t.Run(fmt.Sprint("round ", round), func(t *testing.T) {
			randomRound(t, rand.New(rand.NewPCG(*seed, uint64(round))))
		})
		if t.Failed() {
			t.Fatalf("round %d of seed %d", round, *seed)
		}
	}
}

func randomRound(t *testing.T, random *rand.Rand) {
	h := newHost(t, random)
	t.Logf("seed %d: %s", *seed, h)
	s := newScene(t, "all")
	groups := map[string][]string{"all": people, "three": people[:3], "other two": people[2:]}
	h.groups = groups
	h.start(t)
	for _, name := range people {
		careless, sockets := !h.careful && random.IntN(4) > 0, 1+random.IntN(3)
		s.join(t, name, client.Options{
			Addr:     pick(random, h.at...),
			More:     h.addrs(random),
			Roam:     random.IntN(2) == 0,
			Sockets:  sockets,
			TLS:      h.trust,
			Compress: random.IntN(2) == 0,
			Groups:   groups,
			// A 200 without "from" means the oldest message of that id; who confirms in another order, or twice, has to say more.
			// And of more than a window of what other sockets have confirmed, a server may forget which it was.
			Named:    careless || sockets > 1 && h.center.Window.Messages < 1000,
			Careless: careless,
			Seed:     random.Uint64(),
		})
	}
	s.channels = append(s.channels, slices.Sorted(maps.Keys(groups))...)
	tick := time.Duration(2+random.IntN(20)) * time.Millisecond
	if h.center.Window.Messages < 50 {
		tick *= 4 // each message and each receipt waits for what is before it to have gone both ways
	}
	stop := s.loadUntil(t, tick, random.Uint64())
	end := time.Now().Add(between(random, 300, 1500))
	for time.Now().Before(end) {
		pace(t.Context(), between(random, 0, 40))
		c := s.clients[random.IntN(len(s.clients))]
		switch n := random.IntN(40); {
		case n == 0:
			h.restart(t)
		case n == 1 && h.jumps > 0 && !h.careful:
			h.jump()
		case h.careful:
		case n < 4:
			c.StopReading(random.IntN(2) == 0)
		case n < 6:
			c.Hold(random.IntN(2) == 0)
		case n < 16:
			c.Remember()
		default:
			c.Stumble()
		}
	}
	stop()
	for _, c := range s.clients {
		c.Behave()
	}
	h.faulty.Store(false)
	if h.queue.Simple {
		s.calm(t)
	} else {
		s.settle(t)
	}
	s.close()
	h.stop(t)
	o := checker.Options{Simple: h.queue.Simple, Complete: h.queue.Simple && h.careful, Unordered: h.queue.Simple && h.restarts > 0}
	if !o.Simple {
		o.WindowMessages, o.WindowBytes = h.center.Window.Messages, h.center.Window.Bytes
	}
	report := s.judge(t, o)
	t.Logf("%d restarts, %d jumps; %s", h.restarts, h.jumped, report)
}

var people = []string{"anna", "bob", "carl", "dora"}

// calm waits until all is answered, and nothing comes any more.
func (s *scene) calm(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), settleTime)
	defer cancel()
	if err := s.each(func(c *client.Client) error { return c.Answered(ctx) }); err != nil {
		t.Errorf("wait for answers: %v", err)
		return
	}
	seen := func() (n int) {
		for _, c := range s.clients {
			n += c.Seen()
		}
		return n
	}
	for before := -1; before != seen() && ctx.Err() == nil; {
		before = seen()
		pace(ctx, 300*time.Millisecond)
	}
}
