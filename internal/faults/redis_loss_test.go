//go:build linux

package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bachata-go/bachata/internal/faults/checker"
	"github.com/bachata-go/bachata/internal/faults/client"
	"github.com/bachata-go/bachata/internal/faults/history"
	"github.com/bachata-go/bachata/internal/redistest"
)

// everysecLoss is what docs/redis.md says that appendfsync everysec loses at most with its host: the second that waits for
// its sync, and two more in which the server puts a write off while the sync before is under way.
const everysecLoss = 3 * time.Second

// TestRedisEverysec takes from a Redis with appendfsync everysec, which is killed under load, what it wrote in its last
// second, as the loss of its host may: of the file nothing is left that was not there a second before. What the checker
// then finds missing, and it must find something, concerns only what happened at most as long ago as the documentation
// says; all else is there.
func TestRedisEverysec(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "everysec")
	nodes := newNodes(t, "redis://"+r.Addr())
	var sum checker.Report
	missing, others := 0, 0
	for round := range max(1, roundsOr(redisRounds)/5) {
		random := rand.New(rand.NewPCG(*seed, uint64(round)))
		s := nodes.join(t, round, random)
		written := watchFile(t, s.clock, filepath.Join(r.Dir(), "appendonlydir"))
		// Erin is away: what she is sent waits.
		erin := fmt.Sprintf("erin-%d", round)
		away, stopSending := context.WithCancel(t.Context())
		sent := make(chan error, 1)
		go func() { sent <- sendTo(away, s.clients[0], erin) }()
		stop := s.loadUntil(t, redisTick, random.Uint64())
		pace(t.Context(), between(random, 2500, 3500))

		killed := s.clock.Now()
		r.Kill()
		written.cut(t, killed-int64(time.Second))
		pace(t.Context(), between(random, 0, 200))
		r.Restart()
		pace(t.Context(), between(random, 50, 400))
		stop()
		stopSending()
		if err := <-sent; err != nil {
			t.Error(err)
		}
		s.join(t, erin, client.Options{Addr: nodes[0].Addr(), Seed: random.Uint64()})
		s.settle(t)

		s.close()
		all, err := history.ReadDir(s.dir)
		if err != nil {
			t.Fatal(err)
		}
		report := checker.Check(all, serverWindow)
		add(&sum, report)
		last := lastBefore(all, killed)
		for _, v := range report.Violations {
			at, known := last[v.From+" "+v.ID]
			switch {
			case v.Rule == "I4":
				others++ // one of the two was put again; which of them is named is chance
			case !known || time.Duration(killed-at) > everysecLoss:
				t.Errorf("%s; the last that happened to it before the kill was %v before", v, time.Duration(killed-at))
			case v.Rule == "I1":
				missing++
			default:
				others++
			}
		}
		if t.Failed() {
			t.Fatalf("round %d of seed %d: %s", round, *seed, report)
		}
		if missing == 0 {
			t.Errorf("a second of what was written is gone, and the checker misses nothing: %s", report)
		}
	}
	t.Logf("seed %d: %d messages missing, %d receipts missing or repeated or messages out of order, all of the last %v; %s", *seed, missing, others, everysecLoss, sum)
}

// sendTo sends to one channel until ctx ends.
func sendTo(ctx context.Context, c *client.Client, channel string) error {
	tick := time.NewTicker(redisTick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if _, err := c.Send(ctx, channel, []byte(`"are you there?"`)); err != nil && ctx.Err() == nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// lastBefore returns when something happened last, before a moment, to each message of the histories: it was accepted,
// confirmed, or its sender was told.
func lastBefore(all []history.History, moment int64) map[string]int64 {
	last := make(map[string]int64)
	for _, h := range all {
		for _, e := range h.Events {
			if e.At > moment {
				continue
			}
			switch e.Kind {
			case history.Send, history.Ack, history.Receipt:
				last[h.From+" "+e.ID] = max(last[h.From+" "+e.ID], e.At)
			case history.Confirm:
				last[e.From+" "+e.ID] = max(last[e.From+" "+e.ID], e.At)
			}
		}
	}
	return last
}

// growth is how the file to which a Redis appends has grown.
type growth struct {
	file  string
	stop  context.CancelFunc
	done  chan struct{}
	times []int64
	sizes []int64
}

// watchFile notes again and again how long the newest file in dir is, until cut.
func watchFile(t *testing.T, clock *history.Clock, dir string) *growth {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.incr.aof"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s holds %v (%v), want one file that grows", dir, files, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g := &growth{file: files[0], stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(g.done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			now := clock.Now()
			if info, err := os.Stat(g.file); err == nil {
				g.times, g.sizes = append(g.times, now), append(g.sizes, info.Size())
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(cancel)
	return g
}

// cut ends the notes and makes the file as long as it was at a moment.
func (g *growth) cut(t *testing.T, moment int64) {
	t.Helper()
	g.stop()
	<-g.done
	size := int64(0)
	for i, at := range g.times {
		if at <= moment {
			size = g.sizes[i]
		}
	}
	if len(g.sizes) == 0 || size == 0 || size == g.sizes[len(g.sizes)-1] {
		t.Fatalf("%s was %d bytes long a second before the kill, and %v in all", g.file, size, g.sizes)
	}
	if err := os.Truncate(g.file, size); err != nil {
		t.Fatal(err)
	}
}
