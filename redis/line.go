package redis

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// line is a connection for subscriptions.
type line struct {
	address string
	client  rueidis.DedicatedClient
	cancel  func()
	over    atomic.Bool
}

// openLine makes a connection on which messages are handed to w. It gives up after the time that an answer may take,
// also if the client library does not: what comes too late is closed.
func (w *watcher) openLine(address string, node rueidis.Client) (*line, error) {
	l := &line{address: address}
	ctx, cancel := context.WithTimeout(w.q.ctx, w.q.options.Timeout)
	defer cancel()
	opened := make(chan error, 1)
	w.q.start(func() {
		l.client, l.cancel = node.Dedicate()
		over := l.client.SetPubSubHooks(rueidis.PubSubHooks{
			OnMessage: w.received,
			OnSubscription: func(s rueidis.PubSubSubscription) {
				if list, ok := strings.CutSuffix(s.Channel, wakeSuffix); ok && strings.HasSuffix(s.Kind, "unsubscribe") {
					w.dropped(l, list)
				}
			},
		})
		err := l.check(ctx)
		if err != nil || ctx.Err() != nil {
			l.close()
		}
		opened <- err
		if err == nil {
			<-over
			if !l.over.Load() {
				w.ended(l)
			}
		}
	})
	select {
	case err := <-opened:
		return l, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

var errNotPrimary = errors.New("not the primary any more")

// check asks whether the other end is there, and still the one that publishes.
func (l *line) check(ctx context.Context) error {
	role, err := l.client.Do(ctx, l.client.B().Role().Build()).ToArray()
	if err != nil {
		return err
	}
	if len(role) == 0 || text(role[0]) != "master" {
		return errNotPrimary
	}
	return nil
}

// close ends the connection.
func (l *line) close() {
	if !l.over.Swap(true) {
		l.client.Close()
		l.cancel()
	}
}

// pingAll checks all connections and closes those that don't answer.
func (w *watcher) pingAll() {
	for _, l := range w.lines {
		ctx, cancel := context.WithTimeout(w.q.ctx, w.q.options.Timeout)
		err := l.check(ctx)
		cancel()
		if err != nil && w.q.ctx.Err() == nil {
			w.q.log.Warn("redis: the connection for wake-ups is over", "address", l.address, "error", withoutArgs(err))
			w.ended(l)
		}
	}
}

func (w *watcher) closeLines() {
	for _, l := range w.lines {
		l.close()
	}
}

// jitter spreads d, so that not all nodes come back at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }
