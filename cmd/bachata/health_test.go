package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

// brokenQueue is a queue in which one step can be made to fail or to hang.
type brokenQueue struct {
	bachata.Queue
	puts  atomic.Int64
	fails atomic.Value  // name of the step
	hang  chan struct{} // if not nil, Put waits for it, whatever its context says
}

var errInternal = errors.New("write /secret/path: no space left on device")

func (q *brokenQueue) broken(step string) bool { return q.fails.Load() == step }

func (q *brokenQueue) Put(ctx context.Context, items []bachata.Item) ([]bachata.PutResult, error) {
	q.puts.Add(1)
	if q.hang != nil {
		<-q.hang
	}
	switch {
	case q.broken("put"):
		return nil, errInternal
	case q.broken("own timeout"):
		return nil, context.DeadlineExceeded
	case q.broken("half"):
		if _, err := q.Queue.Put(ctx, items); err != nil {
			return nil, err
		}
		return nil, errInternal
	case q.broken("unavailable"):
		return []bachata.PutResult{{bachata.Unavailable}}, nil
	}
	return q.Queue.Put(ctx, items)
}

func (q *brokenQueue) Fetch(ctx context.Context, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
	switch {
	case q.broken("fetch"):
		return nil, errInternal
	case q.broken("empty"):
		return nil, nil
	}
	return q.Queue.Fetch(ctx, channel, after, limit)
}

func (q *brokenQueue) PopDelivered(ctx context.Context, channel, by string, keys []bachata.Key) ([]bachata.Popped, error) {
	switch {
	case q.broken("pop"):
		return nil, errInternal
	case q.broken("half"):
		if _, err := q.Queue.PopDelivered(ctx, channel, by, keys); err != nil {
			return nil, err
		}
		return nil, errInternal
	case q.broken("not found"):
		return make([]bachata.Popped, len(keys)), nil
	}
	return q.Queue.PopDelivered(ctx, channel, by, keys)
}

func ask(h http.Handler) (status int, report healthReport, body string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
	body = w.Body.String()
	// A body that is no JSON shows as a report without a status.
	_ = json.Unmarshal([]byte(body), &report)
	return w.Code, report, body
}

func TestHealthFollowsTheQueue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ fails, step string }{
		{"put", "put"}, {"unavailable", "put"}, {"own timeout", "put"}, {"fetch", "fetch"}, {"empty", "fetch"}, {"pop", "pop"}, {"not found", "pop"},
	} {
		t.Run(tt.fails, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				inner := memory.New(nil)
				defer inner.Close()
				q := &brokenQueue{Queue: inner}
				h := newHealth(q, slog.New(slog.DiscardHandler))
				if status, report, _ := ask(h); status != http.StatusOK || report.Status != "ok" || report.Queue != "memory" {
					t.Errorf("health = %d %+v, want 200 ok", status, report)
				}
				q.fails.Store(tt.fails)
				time.Sleep(healthAge)
				status, report, body := ask(h)
				if status != http.StatusServiceUnavailable || report.Failed != tt.step || report.Reason == "" {
					t.Errorf("health = %d %+v, want 503 for %s", status, report, tt.step)
				}
				if strings.Contains(body, "secret") {
					t.Errorf("the answer holds something internal: %s", body)
				}
				if strings.Contains(body, "within") {
					t.Errorf("the answer names a time in which the queue did answer: %s", body)
				}
				q.fails.Store("")
				time.Sleep(healthAge)
				if status, report, _ := ask(h); status != http.StatusOK {
					t.Errorf("health after the repair = %d %+v, want 200", status, report)
				}
				if left, err := inner.Fetch(t.Context(), h.channel, 0, bachata.Limit{}); err != nil || len(left) != 0 {
					t.Errorf("%d messages are left in the channel of the check (%v), want none", len(left), err)
				}
			})
		})
	}
}

// TestHealthLeavesNothing checks a queue whose steps are done and reported as failed, as with too few replicas.
func TestHealthLeavesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := memory.New(nil)
		defer inner.Close()
		q := &brokenQueue{Queue: inner}
		q.fails.Store("half")
		h := newHealth(q, slog.New(slog.DiscardHandler))
		for range 10 {
			if status, report, _ := ask(h); status != http.StatusServiceUnavailable || report.Failed != "put" {
				t.Errorf("health = %d %+v, want 503 for put", status, report)
			}
			time.Sleep(healthAge)
		}
		if left, err := inner.Fetch(t.Context(), h.channel, 0, bachata.Limit{}); err != nil || len(left) > 1 {
			t.Errorf("%d messages are left in the channel of the check (%v), want that of the last one only", len(left), err)
		}
	})
}

// TestHealthLogsAgain looks for a line a minute while the same step fails: what is wrong with it may have become another thing.
func TestHealthLogsAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := memory.New(nil)
		defer inner.Close()
		q := &brokenQueue{Queue: inner}
		q.fails.Store("put")
		var log strings.Builder
		h := newHealth(q, slog.New(slog.NewTextHandler(&log, nil)))
		for range 150 {
			ask(h)
			time.Sleep(healthAge)
		}
		synctest.Wait()
		if lines := strings.Count(log.String(), "health check failed"); lines != 3 {
			t.Errorf("150 s of failing are %d lines, want 3:\n%s", lines, log.String())
		}
	})
}

func TestHealthOfASimpleQueue(t *testing.T) {
	t.Parallel()
	q := memory.New(&memory.Options{Simple: true})
	defer q.Close()
	if status, report, _ := ask(newHealth(q, slog.New(slog.DiscardHandler))); status != http.StatusOK || report.Mode != "simple" {
		t.Errorf("health = %d %+v, want 200 in simple mode", status, report)
	}
}

func TestHealthIsCheckedOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := memory.New(nil)
		defer inner.Close()
		q := &brokenQueue{Queue: inner}
		h := newHealth(q, slog.New(slog.DiscardHandler))
		var asking sync.WaitGroup
		for range 50 {
			asking.Go(func() { ask(h) })
		}
		asking.Wait()
		if n := q.puts.Load(); n != 1 {
			t.Errorf("50 requests made %d checks, want 1", n)
		}
		time.Sleep(healthAge)
		ask(h)
		if n := q.puts.Load(); n != 2 {
			t.Errorf("a second later %d checks were made, want 2", n)
		}
	})
}

func TestHealthOfAQueueThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := memory.New(nil)
		defer inner.Close()
		q := &brokenQueue{Queue: inner, hang: make(chan struct{})}
		h := newHealth(q, slog.New(slog.DiscardHandler))
		start := time.Now()
		for range 2 {
			if status, report, _ := ask(h); status != http.StatusServiceUnavailable || !strings.Contains(report.Reason, "3s") {
				t.Errorf("health = %d %+v, want 503 after 3s", status, report)
			}
		}
		if took := time.Since(start); took != 2*healthTimeout {
			t.Errorf("two answers took %v, want %v", took, 2*healthTimeout)
		}
		if n := q.puts.Load(); n != 1 {
			t.Errorf("%d checks hang, want 1", n)
		}
		close(q.hang)
		h.drain(t.Context())
		if status, report, _ := ask(h); status != http.StatusServiceUnavailable || report.Status != "draining" {
			t.Errorf("health = %d %+v, want 503 draining", status, report)
		}
	})
}
