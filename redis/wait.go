package redis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
)

// replicas has those who put wait until what they put has got to replicas. WAIT blocks the connection that it comes over,
// so it has connections of its own; all who come while one WAIT is under way share the next.
type replicas struct {
	mu      sync.Mutex
	waiting []waiting
	running bool
	history string // of the primaries, as they told it last
}

// waiting is one who waits for a WAIT.
type waiting struct {
	history string
	done    chan error
}

// errHistory says that a server took over, or began anew, since something was put, which it may never have had: its
// replicas then have all that it has, and not that.
var errHistory = fmt.Errorf("redis: wait: another server has taken over, or it has restarted: %w", bachata.ErrUnavailable)

// history names what the primaries have, up to now. It changes when one takes over, or restarts.
func (q *Queue) history() string {
	if q.options.Wait == 0 {
		return ""
	}
	r := &q.replicas
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.history
}

// settleLevel waits until what was put since history was asked is as safe as Options.Wait asks for.
func (q *Queue) settleLevel(ctx context.Context, history string) error {
	if q.options.Wait == 0 {
		return nil
	}
	done := make(chan error, 1)
	r := &q.replicas
	r.mu.Lock()
	r.waiting = append(r.waiting, waiting{history, done})
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
		history, err := q.replicated()
		if history != "" {
			r.mu.Lock()
			r.history = history
			r.mu.Unlock()
		}
		for _, w := range group {
			if err == nil && w.history != history {
				w.done <- errHistory
			} else {
				w.done <- err
			}
		}
	}
}

// replicated waits until all that was written before has got to the replicas of every primary. It returns their history,
// empty if one did not tell.
func (q *Queue) replicated() (history string, err error) { return q.everyPrimary(q.replicatedFrom) }

// everyPrimary asks each of the primaries, of which the key tick has, and puts together what they told of their history.
func (q *Queue) everyPrimary(ask func(_ context.Context, _ rueidis.Client, tick string) (string, error)) (history string, err error) {
	ctx, cancel := context.WithTimeout(q.ctx, q.options.Timeout+q.options.WaitTimeout)
	defer cancel()
	where, err := q.locate(ctx)
	if err != nil {
		return "", err
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
	addresses := slices.Sorted(maps.Keys(ticks))
	ids := make([]string, len(addresses))
	for i, address := range addresses {
		wg.Go(func() {
			var err error
			ids[i], err = ask(ctx, where.nodes[address], ticks[address])
			failed.note(err)
		})
	}
	wg.Wait()
	if slices.Contains(ids, "") {
		return "", failed.err
	}
	return strings.Join(ids, " "), failed.err
}

// noteHistory asks for the history, so that the first who put after it has changed are not refused for that.
func (q *Queue) noteHistory() {
	if q.options.Wait == 0 {
		return
	}
	if history, err := q.everyPrimary(q.historyOf); err == nil {
		q.replicas.mu.Lock()
		q.replicas.history = history
		q.replicas.mu.Unlock()
	}
}

// historyOf asks one primary for the id of its replication.
func (q *Queue) historyOf(ctx context.Context, node rueidis.Client, _ string) (string, error) {
	return readHistory(node.Do(ctx, node.B().Info().Section("replication").Build()))
}

// readHistory finds the id in what INFO returned.
func readHistory(info rueidis.RedisResult) (string, error) {
	text, err := info.ToString()
	if err != nil {
		return "", err
	}
	_, id, found := strings.Cut(text, "\nmaster_replid:")
	if !found {
		return "", errReply
	}
	id, _, _ = strings.Cut(id, "\r")
	return id, nil
}

// replicatedFrom waits for the replicas of one primary, and returns its history if it told that. A server counts from the
// last write of the connection that asks, so that makes one.
func (q *Queue) replicatedFrom(ctx context.Context, node rueidis.Client, tick string) (history string, err error) {
	wait := q.waitReplicas
	if q.level.Load().waitAOF() {
		wait = q.waitDisks
	}
	err = node.Dedicated(func(c rueidis.DedicatedClient) error {
		replies := c.DoMulti(ctx, c.B().Info().Section("replication").Build(), c.B().Set().Key(tick).Value("1").Px(time.Minute).Build())
		var err error
		if history, err = readHistory(replies[0]); err == nil {
			err = replies[1].Error()
		}
		if err != nil {
			return q.failed(ctx, "wait", err)
		}
		return wait(ctx, c)
	})
	return history, err
}

// waitReplicas waits until the replicas have it.
func (q *Queue) waitReplicas(ctx context.Context, c rueidis.DedicatedClient) error {
	got, err := c.Do(ctx, c.B().Wait().Numreplicas(int64(q.options.Wait)).Timeout(q.options.WaitTimeout.Milliseconds()).Build()).AsInt64()
	switch {
	case err != nil:
		return q.failed(ctx, "wait", err)
	case got < int64(q.options.Wait):
		return q.tooFew(got)
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
		return q.tooFew(have)
	}
	return fmt.Errorf("redis: wait: after %v %d of %d replicas have written it to disk, though they have it: set appendonly yes on them too, "+
		"and appendfsync always or a longer wait_timeout: %w", q.options.WaitTimeout, synced[1], q.options.Wait, bachata.ErrUnavailable)
}

// tooFew says that a put was not replicated in time.
func (q *Queue) tooFew(got int64) error {
	return fmt.Errorf("redis: wait: after %v %d of %d replicas have it: %w", q.options.WaitTimeout, got, q.options.Wait, bachata.ErrUnavailable)
}
