package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/bachata-go/bachata"
)

const (
	healthTimeout = 3 * time.Second
	// healthAge is how long an answer is given again, so that asking often costs the queue nothing.
	healthAge = time.Second
	// healthLog is after how long it is logged again that checks fail: why may have changed.
	healthLog = time.Minute
)

// healthReport is what /healthz answers; it says which step failed, and nothing internal.
type healthReport struct {
	Status string `json:"status"` // "ok", "unhealthy" or "draining"
	Queue  string `json:"queue"`
	Mode   string `json:"mode"`
	Failed string `json:"failed,omitempty"` // "ping", "put", "fetch" or "pop"
	Reason string `json:"reason,omitempty"`
}

// health proves that the queue works by using it: a message is put into a channel that nobody else can name, fetched
// and taken off again.
type health struct {
	queue   bachata.Queue
	channel string
	logger  *slog.Logger
	now     func() time.Time
	left    bool // by the last check, which failed: something may wait in the channel; used by run only

	mu       sync.Mutex
	draining bool
	running  chan struct{} // closed when the check in progress ends; nil if none is
	report   healthReport
	checked  time.Time
	logged   time.Time // when it was logged last that a check failed
}

func newHealth(q bachata.Queue, logger *slog.Logger) *health {
	return &health{queue: q, channel: "health-" + rand.Text(), logger: logger, now: time.Now}
}

// ServeHTTP answers 200 if the queue works, else 503.
func (h *health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	report := h.check(r.Context())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if report.Status != "ok" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	// A client that went away needs no answer.
	_ = json.NewEncoder(w).Encode(report)
}

// drain makes every answer from now on red, so that a balancer sends nobody here any more, and waits for the check in
// progress, so that the queue can be closed.
func (h *health) drain(ctx context.Context) {
	h.mu.Lock()
	h.draining = true
	running := h.running
	h.mu.Unlock()
	if running == nil {
		return
	}
	select {
	case <-running:
	case <-ctx.Done():
	}
}

// check returns the last report while it is fresh; else one caller's request starts a check, and all wait for it.
func (h *health) check(ctx context.Context) healthReport {
	h.mu.Lock()
	if h.draining {
		h.mu.Unlock()
		return h.newReport("draining", "", "the server is shutting down")
	}
	if h.running == nil {
		if !h.checked.IsZero() && h.now().Sub(h.checked) < healthAge {
			defer h.mu.Unlock()
			return h.report
		}
		h.running = make(chan struct{})
		go h.run(h.running)
	}
	running := h.running
	h.mu.Unlock()

	timeout := time.NewTimer(healthTimeout)
	defer timeout.Stop()
	select {
	case <-running:
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.report
	case <-timeout.C:
		// A disk that hangs holds its caller whatever the context says; the check goes on, the answer does not wait.
		return h.newReport("unhealthy", "", "the queue did not answer within "+formatDuration(healthTimeout))
	case <-ctx.Done():
		return h.newReport("unhealthy", "", "the request was given up")
	}
}

func (h *health) run(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
	defer cancel()
	report := h.newReport("ok", "", "")
	failed, err := h.roundTrip(ctx)
	h.left = err != nil
	if err != nil {
		reason := "the queue does not work: " + failed + " failed"
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil { // else the queue has a shorter patience of its own
			reason = "the queue did not answer within " + formatDuration(healthTimeout)
		}
		report = h.newReport("unhealthy", failed, reason)
	}

	h.mu.Lock()
	before := h.report
	h.report, h.checked, h.running = report, h.now(), nil
	say := err != nil && (before.Failed != failed || h.checked.Sub(h.logged) >= healthLog)
	if say {
		h.logged = h.checked
	}
	h.mu.Unlock()
	close(done)
	switch {
	case say:
		h.logger.Error("health check failed", "step", failed, "error", err)
	case err == nil && before.Failed != "":
		h.logger.Info("health check works again")
	}
}

func (h *health) newReport(status, failed, reason string) healthReport {
	info := h.queue.Info()
	return healthReport{Status: status, Queue: info.Name, Mode: info.Mode.String(), Failed: failed, Reason: reason}
}

// roundTrip puts, fetches and pops one message. It has no id, so that nothing of it is remembered.
func (h *health) roundTrip(ctx context.Context) (failed string, err error) {
	// One channel is on one server of a cluster; the others are asked whether they are there.
	if q, ok := h.queue.(interface{ Ping(context.Context) error }); ok {
		if err := q.Ping(ctx); err != nil {
			return "ping", err
		}
	}
	if h.left {
		h.takeAll(ctx)
	}
	payload := []byte(`{"type":"health","data":"` + rand.Text() + `"}`)
	results, err := h.queue.Put(ctx, []bachata.Item{{Channels: []string{h.channel}, Payload: payload, NoReceipt: true}})
	if err != nil {
		return "put", err
	}
	if len(results) != 1 || len(results[0]) != 1 || results[0][0] != bachata.Stored {
		return "put", errors.New("the message was not stored")
	}
	// Messages of an earlier check that failed between put and pop may stand before ours; they are taken off with it.
	var after bachata.Cursor
	for {
		envelopes, err := h.queue.Fetch(ctx, h.channel, after, bachata.Limit{Messages: 100})
		if err != nil {
			return "fetch", err
		}
		if len(envelopes) == 0 {
			return "fetch", errors.New("the message is not there")
		}
		var keys []bachata.Key
		ours := -1
		for i, e := range envelopes {
			if bytes.Equal(e.Payload, payload) {
				ours = i
			}
			keys = append(keys, bachata.Key{Cursor: e.Cursor})
			after = e.Cursor
		}
		if h.queue.Info().Mode == bachata.Reliable {
			popped, err := h.queue.PopDelivered(ctx, h.channel, h.channel, keys)
			if err != nil {
				return "pop", err
			}
			if ours >= 0 && (len(popped) <= ours || !popped[ours].Found) {
				return "pop", errors.New("the message could not be taken off")
			}
		}
		if ours >= 0 {
			return "", nil
		}
	}
}

// takeAll takes off what checks that failed have left. A put may have failed only in part (stored, but on too few replicas),
// and a queue that stays like that would keep a message more of every check.
func (h *health) takeAll(ctx context.Context) {
	for {
		envelopes, err := h.queue.Fetch(ctx, h.channel, 0, bachata.Limit{Messages: 100})
		if err != nil || len(envelopes) == 0 {
			return
		}
		keys := make([]bachata.Key, len(envelopes))
		for i, e := range envelopes {
			keys[i].Cursor = e.Cursor
		}
		if _, err := h.queue.PopDelivered(ctx, h.channel, h.channel, keys); err != nil {
			return // it may have failed in the same way; the step that follows says so
		}
	}
}
