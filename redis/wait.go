package redis

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
)

// replicas has those who put wait until what they put has got to replicas. WAIT blocks the connection that it comes over,
// so it has connections of its own; all who come while one WAIT is under way share the next.
type replicas struct {
	mu      sync.Mutex
	waiting []chan error
	running bool
}

// settleLevel waits until what was put before is as safe as Options.Wait asks for.
func (q *Queue) settleLevel(ctx context.Context) error {
	if q.options.Wait == 0 {
		return nil
	}
	done := make(chan error, 1)
	r := &q.replicas
	r.mu.Lock()
	r.waiting = append(r.waiting, done)
	start := !r.running
	r.running = true
	r.mu.Unlock()
	if start {
		q.start(q.waitForReplicas)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return q.failed(ctx, "wait", ctx.Err())
	}
}

// waitForReplicas works until nobody waits.
func (q *Queue) waitForReplicas() {
	for {
		r := &q.replicas
		r.mu.Lock()
		group := r.waiting
		r.waiting = nil
		if len(group) == 0 {
			r.running = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		err := q.replicated()
		for _, done := range group {
			done <- err
		}
	}
}

// replicated waits until all that was written before has got to the replicas of every primary.
func (q *Queue) replicated() error {
	ctx, cancel := context.WithTimeout(q.ctx, q.options.Timeout+q.options.WaitTimeout)
	defer cancel()
	where, err := q.locate(ctx)
	if err != nil {
		return err
	}
	ticks := map[string]string{only: q.keys.lead(0) + ":tick"}
	if q.keys.cluster {
		clear(ticks)
		for b, address := range where.buckets {
			ticks[address] = q.keys.lead(b) + ":tick"
		}
	}
	var failed firstError
	var wg sync.WaitGroup
	for address, tick := range ticks {
		wg.Go(func() { failed.note(q.replicatedFrom(ctx, where.nodes[address], tick)) })
	}
	wg.Wait()
	return failed.err
}

// replicatedFrom waits for the replicas of one primary. A server counts from the last write of the connection that asks,
// so that makes one.
func (q *Queue) replicatedFrom(ctx context.Context, node rueidis.Client, tick string) error {
	n := int64(q.options.Wait)
	return node.Dedicated(func(c rueidis.DedicatedClient) error {
		write := c.B().Set().Key(tick).Value("1").Px(time.Minute).Build()
		var wait rueidis.Completed
		if q.level.Load().waitAOF() {
			wait = c.B().Arbitrary("WAITAOF", "1", strconv.FormatInt(n, 10), strconv.FormatInt(q.options.WaitTimeout.Milliseconds(), 10)).Build()
		} else {
			wait = c.B().Wait().Numreplicas(n).Timeout(q.options.WaitTimeout.Milliseconds()).Build()
		}
		replies := c.DoMulti(ctx, write, wait)
		if err := replies[0].Error(); err != nil {
			return q.failed(ctx, "wait", err)
		}
		got, err := replies[1].AsInt64()
		if err != nil {
			var both []int64
			if both, err = replies[1].AsIntSlice(); err == nil && len(both) == 2 {
				if got = both[1]; both[0] < 1 {
					got = -1
				}
			}
		}
		if err != nil {
			return q.failed(ctx, "wait", err)
		}
		if got < n {
			return fmt.Errorf("redis: wait: %d of %d replicas have it after %v: %w", max(got, 0), n, q.options.WaitTimeout, bachata.ErrUnavailable)
		}
		return nil
	})
}
