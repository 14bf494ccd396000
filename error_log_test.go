package bachata_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

// logged returns options whose logger writes to log.
func logged() (o *bachata.Options, log *strings.Builder) {
	log = new(strings.Builder)
	return &bachata.Options{Logger: slog.New(slog.NewTextHandler(log, nil))}, log
}

// TestQueueErrorsAreLoggedSparsely has a client send again and again what a queue that fails refuses.
func TestQueueErrorsAreLoggedSparsely(t *testing.T) {
	t.Parallel()
	o, log := logged()
	bubble(t, o, func(t *testing.T, c *bachata.Center, q *faultyQueue) {
		anna := connect(t, c, "anna")
		q.putFails.Store(true)
		const refused = `{"type":400,"data":"1","code":"unavailable","reason":"not known to be stored; send the same id again"}`
		for range 50 { // 5 s
			anna.send(hi)
			anna.expect(refused)
			time.Sleep(100 * time.Millisecond)
		}
		q.putFails.Store(false)
		anna.send(hi) // another channel's put may still fail: it is too early to say that all is well
		anna.take()
		if strings.Contains(log.String(), "again") {
			t.Errorf("the queue is said to be available a moment after it was not:\n%s", log.String())
		}
		time.Sleep(time.Second)
		for range 2 {
			anna.send(hi)
			anna.expect(`{"type":100,"data":"1","dup":true}`)
		}
	})
	if strings.Count(log.String(), "level=ERROR") != 5 || strings.Count(log.String(), "call=put") != 6 || strings.Count(log.String(), "suppressed=9") != 5 {
		t.Errorf("50 errors in 5 s were logged so, want one a second:\n%s", log.String())
	}
	if strings.Count(log.String(), `level=INFO msg="queue is available again"`) != 1 {
		t.Errorf("that the queue works again was logged so, want once:\n%s", log.String())
	}
}

// TestRouteErrorsAreLoggedSparsely has a route fail and panic again and again.
func TestRouteErrorsAreLoggedSparsely(t *testing.T) {
	t.Parallel()
	o, log := logged()
	bubble(t, o, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		if err := c.AddRoute(failing{}); err != nil {
			t.Fatal(err)
		}
		anna := connect(t, c, "anna")
		for range 20 { // 2 s
			anna.send(`{"id":1,"type":"panic"}`, `{"id":2,"type":"fail"}`)
			time.Sleep(100 * time.Millisecond)
		}
		anna.take()
	})
	if strings.Count(log.String(), "level=ERROR") != 4 || strings.Count(log.String(), "suppressed=9") != 2 {
		t.Errorf("20 errors and 20 panics in 2 s were logged so, want one of each a second:\n%s", log.String())
	}
}

// TestJobPanics has what was asked for later panic, which ends that job alone.
func TestJobPanics(t *testing.T) {
	t.Parallel()
	o, log := logged()
	bubble(t, o, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		ran := false
		c.After(time.Second, func(context.Context) { panic("of a job") })
		c.After(2*time.Second, func(context.Context) { ran = true })
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if !ran {
			t.Error("the job after one that panicked did not run")
		}
	})
	if strings.Count(log.String(), `panic="of a job"`) != 1 {
		t.Errorf("the panic was logged so:\n%s", log.String())
	}
}

// TestEveryCallIsSaidToWorkAgain has calls other than Put fail for a moment.
func TestEveryCallIsSaidToWorkAgain(t *testing.T) {
	t.Parallel()
	const again = `msg="queue is available again" call=`
	o, log := logged()
	bubbleIn(t, nil, o, func(inner bachata.Queue) unsafeQueue {
		return unsafeQueue{&faultyQueue{Queue: inner}}
	}, func(t *testing.T, c *bachata.Center, q unsafeQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(hi)
		q.popFails.Store(true)
		bob.send(got1)
		time.Sleep(2 * time.Second)
		q.popFails.Store(false)
		anna.send(`{"id":"2","type":"direct","dest":"eve"}`)
	})
	if strings.Count(log.String(), again+"wait") != 1 {
		t.Errorf("that the wait works again was logged so, want once:\n%s", log.String())
	}

	log.Reset()
	bubbleOn(t, &memory.Options{Simple: true}, o, func(t *testing.T, c *bachata.Center, q *faultyQueue) {
		anna := connect(t, c, "anna")
		connect(t, c, "bob")
		for _, fails := range []bool{true, false} {
			q.fetchFails.Store(fails)
			anna.send(hi)
			time.Sleep(2 * time.Second)
		}
	})
	if strings.Count(log.String(), again+"fetch") != 1 {
		t.Errorf("that a simple queue can be fetched from again was logged so, want once:\n%s", log.String())
	}
}
