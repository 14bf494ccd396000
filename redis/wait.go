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
	wait := q.waitReplicas
	if q.level.Load().waitAOF() {
		wait = q.waitDisks
	}
	return node.Dedicated(func(c rueidis.DedicatedClient) error {
		if err := c.Do(ctx, c.B().Set().Key(tick).Value("1").Px(time.Minute).Build()).Error(); err != nil {
			return q.failed(ctx, "wait", err)
		}
		return wait(ctx, c)
	})
}

// waitReplicas waits until the replicas have it.
func (q *Queue) waitReplicas(ctx context.Context, c rueidis.DedicatedClient) error {
	got, err := c.Do(ctx, c.B().Wait().Numreplicas(int64(q.options.Wait)).Timeout(q.options.WaitTimeout.Milliseconds()).Build()).AsInt64()
	switch {
	case err != nil:
		return q.failed(ctx, "wait", err)
	case got < int64(q.options.Wait):
		return q.tooFew("have it", got)
	}
	return nil
}

// waitDisks waits until the server and the replicas have written it to disk.
func (q *Queue) waitDisks(ctx context.Context, c rueidis.DedicatedClient) error {
	n, timeout := strconv.Itoa(q.options.Wait), strconv.FormatInt(q.options.WaitTimeout.Milliseconds(), 10)
	synced, err := c.Do(ctx, c.B().Arbitrary("WAITAOF", "1", n, timeout).Build()).AsIntSlice()
	switch {
	case err == nil && len(synced) != 2:
		return fmt.Errorf("redis: wait: the server counted %d: %w", synced, bachata.ErrUnavailable)
	case err != nil:
		return q.failed(ctx, "wait", err)
	case synced[0] < 1:
		return fmt.Errorf("redis: wait: the server has not written it to disk after %v: %w", q.options.WaitTimeout, bachata.ErrUnavailable)
	case synced[1] >= int64(q.options.Wait):
		return nil
	}
	// A replica without an append-only file is never counted, however fast it is. Who runs it has to be told which it is.
	have, err := c.Do(ctx, c.B().Wait().Numreplicas(int64(q.options.Wait)).Timeout(1).Build()).AsInt64()
	if err != nil || have < int64(q.options.Wait) {
		return q.tooFew("have it", have)
	}
	return q.tooFew("have written it to disk, though they have it: set appendonly yes on them too, and appendfsync always or a longer wait_timeout", synced[1])
}

// tooFew says that a put was not replicated in time.
func (q *Queue) tooFew(what string, got int64) error {
	return fmt.Errorf("redis: wait: after %v %d of %d replicas %s: %w", q.options.WaitTimeout, got, q.options.Wait, what, bachata.ErrUnavailable)
}
