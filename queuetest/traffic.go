package queuetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bachata-go/bachata"
)

// traffic lets senders, receivers that confirm, and readers of receipts work at the same time.
type traffic struct {
	x    *fixture
	done atomic.Bool // everything has arrived, or the time is up

	mu       sync.Mutex
	received map[string]int // "channel id": how often a pop found it
	receipts map[string]int // "origin: receipt": how often a pop found it
	complain string
}

const (
	trafficSenders   = 4
	trafficReceivers = 3
	trafficEach      = 150
)

func newTraffic(x *fixture) *traffic {
	return &traffic{x: x, received: map[string]int{}, receipts: map[string]int{}}
}

// run sends everything, resending now and then, and waits until every receipt was read.
func (r *traffic) run() {
	var wg sync.WaitGroup
	for s := range trafficSenders {
		wg.Go(func() { r.send(fmt.Sprint("s", s)) })
		wg.Go(func() { r.drain(fmt.Sprint("s", s), r.readReceipt) })
	}
	for c := range trafficReceivers {
		for range 2 { // two devices of each channel compete
			wg.Go(func() { r.drain(fmt.Sprint("r", c), r.readMessage) })
		}
	}
	const all = trafficSenders * trafficReceivers * trafficEach
	r.x.later(func() string {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.complain != "" || len(r.receipts) == all {
			return ""
		}
		return fmt.Sprintf("%d of %d messages were received, %d receipts", len(r.received), all, len(r.receipts))
	})
	r.done.Store(true)
	wg.Wait()
	if r.complain != "" {
		r.x.broken("%s", r.complain)
	}
	for what, n := range r.received {
		if n != 1 {
			r.x.broken("%s was taken %d times", what, n)
		}
	}
	if len(r.received) != all || len(r.receipts) != all {
		r.x.broken("%d of %d messages were received, %d receipts", len(r.received), all, len(r.receipts))
	}
	for c := range trafficReceivers {
		r.x.holds(fmt.Sprint("r", c))
	}
}

func (r *traffic) fail(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.complain == "" {
		r.complain = fmt.Sprintf(format, args...)
	}
	r.done.Store(true)
}

func (r *traffic) send(origin string) {
	var channels []string
	for c := range trafficReceivers {
		channels = append(channels, fmt.Sprint("r", c))
	}
	for i := range trafficEach {
		m := messageFrom(origin, fmt.Sprint(i), channels...)
		for resend := 0; resend <= i%2; resend++ {
			if r.done.Load() {
				return
			}
			if _, err := r.x.q.Put(r.x.ctx, []bachata.Item{m}); err != nil {
				r.fail("Put: %v", err)
			}
		}
	}
}

// drain reads an inbox, hands each envelope to read and pops it by its cursor.
func (r *traffic) drain(channel string, read func(channel string, e bachata.Envelope, won bool)) {
	wake := make(chan struct{}, 1)
	stop, err := r.x.q.Watch(channel, func(bachata.Wake) {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	if err != nil {
		r.fail("Watch: %v", err)
		return
	}
	defer stop()
	sweep := time.NewTicker(20 * time.Millisecond)
	defer sweep.Stop()
	for !r.done.Load() {
		envs, err := r.x.q.Fetch(r.x.ctx, channel, 0, bachata.Limit{Messages: 20})
		if err != nil {
			r.fail("Fetch: %v", err)
		}
		for _, e := range envs {
			popped, err := r.x.q.PopDelivered(r.x.ctx, channel, channel, []bachata.Key{at(e)})
			if err != nil {
				r.fail("PopDelivered: %v", err)
				return
			}
			read(channel, e, popped[0].Found)
		}
		if len(envs) == 0 {
			select {
			case <-wake:
			case <-sweep.C:
			}
		}
	}
}

func (r *traffic) readMessage(channel string, e bachata.Envelope, won bool) {
	if !won {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.received[channel+" "+e.From+" "+e.ID.Text]++
}

// readReceipt counts receipts by their content: a resent message has them again.
func (r *traffic) readReceipt(origin string, e bachata.Envelope, won bool) {
	if e.Kind != bachata.KindReceipt || e.Outcome != bachata.OutcomeDelivered {
		r.fail("the inbox of %s has %s", origin, describe(e))
		return
	}
	if !won {
		r.fail("only one reads the inbox of %s, but %s was not found", origin, describe(e))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.receipts[origin+": "+describe(e)]++
}
