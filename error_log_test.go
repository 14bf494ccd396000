package bachata_test

import (
	"context"
	"errors"
	"fmt"
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
		for range 1200 { // 2 min
			anna.send(hi)
			anna.expect(refused)
			time.Sleep(100 * time.Millisecond)
		}
		q.putFails.Store(false)
		time.Sleep(5 * time.Second)
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
	// After 0, 1, 3, 7, 15, 31 and 63 s.
	if strings.Count(log.String(), "level=ERROR") != 7 || strings.Count(log.String(), "call=put") != 8 || strings.Count(log.String(), "suppressed=79") != 1 {
		t.Errorf("1,200 errors in 2 min were logged so, want seven, ever more rarely:\n%s", log.String())
	}
	if strings.Count(log.String(), `level=INFO msg="queue is available again" call=put failed_for=2m0s`) != 1 {
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
		t.Errorf("20 errors and 20 panics in 2 s were logged so, want one of each at once and after a second:\n%s", log.String())
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
		time.Sleep(7 * time.Second)
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
		for _, fails := range []bool{true, false, false} {
			q.fetchFails.Store(fails)
			anna.send(hi)
			time.Sleep(7 * time.Second)
		}
	})
	if strings.Count(log.String(), again+"fetch") != 1 {
		t.Errorf("that a simple queue can be fetched from again was logged so, want once:\n%s", log.String())
	}
}

// TestNewCausesAreLoggedAtOnce has a route fail in ways that nobody has read of yet, and in ever new ones.
func TestNewCausesAreLoggedAtOnce(t *testing.T) {
	t.Parallel()
	o, log := logged()
	bubble(t, o, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		route := bachata.RouteFunc(func(_ context.Context, m *bachata.Message, _ *bachata.Session) (bachata.Decision, error) {
			return bachata.Decision{}, errors.New(m.Data())
		})
		if err := c.AddRoute(&route); err != nil {
			t.Fatal(err)
		}
		anna := connect(t, c, "anna")
		for i := range 200 { // 100 s
			anna.send(fmt.Sprintf(`{"id":%d,"type":"fail","data":%q}`, i, [...]string{"away", "away", "away", "full"}[i%4]))
			if i >= 100 {
				anna.send(fmt.Sprintf(`{"id":%d,"type":"fail","data":"%d"}`, i, i))
			}
			time.Sleep(500 * time.Millisecond)
		}
		anna.take()
	})
	text := log.String()
	if first := strings.Index(text, "full"); first < 0 || strings.Count(text[:first], "away") > 3 {
		t.Errorf("the second cause was not logged at once:\n%s", text)
	}
	if n := strings.Count(text, "level=ERROR"); n > 15 {
		t.Errorf("300 errors of 102 causes in 100 s were logged %d times:\n%s", n, text)
	}
}
