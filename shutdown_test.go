package bachata_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bachata-go/bachata"
)

func TestShutdownDrains(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(hi)
		anna.expect(ok1)
		bob.expect(hiAt)
		done := make(chan error)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			done <- c.Shutdown(ctx)
		}()
		for _, p := range []*peer{anna, bob} {
			if got := p.take(); len(got) != 1 || !strings.HasPrefix(got[0], `{"type":1003,"data":`) {
				t.Errorf("a client was told %q, want a 1003", got)
			}
		}
		if _, err := c.Attach(&socket{}, bachata.Identity{Channel: "carl"}); !errors.Is(err, bachata.ErrClosing) {
			t.Errorf("Attach() = %v, want ErrClosing", err)
		}
		time.Sleep(time.Second)
		if code := bob.closeCode(); code != 0 {
			t.Errorf("closed (%d) with a message outstanding", code)
		}
		bob.send(got1)
		if err := <-done; err != nil {
			t.Errorf("Shutdown() = %v", err)
		}
		if anna.closeCode() != bachata.CloseGoingAway || bob.closeCode() != bachata.CloseGoingAway {
			t.Errorf("close codes %d and %d, want %d", anna.closeCode(), bob.closeCode(), bachata.CloseGoingAway)
		}
		m, err := bachata.MakeMessage(bachata.Draft{Type: "direct", Dest: "bob"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Process(t.Context(), m); !errors.Is(err, bachata.ErrClosing) {
			t.Errorf("Process() = %v, want ErrClosing", err)
		}
	})
}

// Clients are told to come back one after the other, over a time that grows with their number.
func TestShutdownSpreadsClients(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		const n = 1000 // which is spread over a second
		var peers []*peer
		for i := range n {
			peers = append(peers, connect(t, c, fmt.Sprint("c", i)))
		}
		if err := c.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown() = %v", err)
		}
		var tenths [10]int
		for _, p := range peers {
			var millis int
			if got := p.take(); len(got) != 1 {
				t.Fatalf("a client was told %q, want a 1003", got)
			} else if _, err := fmt.Sscanf(got[0], `{"type":1003,"data":%d}`, &millis); err != nil || millis < 100 || millis > 1100 {
				t.Fatalf("a client was told %q, want a 1003 with 100 to 1100 ms", got[0])
			}
			tenths[min((millis-100)/100, 9)]++
		}
		for i, got := range tenths {
			if got < n/20 || got > n/5 {
				t.Errorf("%d of %d clients come back in part %d of 10", got, n, i)
			}
		}
	})
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(hi)
		bob.expect(hiAt)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		if err := c.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown() = %v, want the end of its context", err)
		}
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("Shutdown took %v, want 5s", d)
		}
	})
}

// A route that ignores its context, or a queue whose disk is stuck, is waited for a second longer than the context says, and
// not by the Close behind it.
func TestShutdownLeavesWhatIsStuck(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		stuck := make(chan bool)
		if err := c.AddRoute(bachata.RouteFunc(func(context.Context, *bachata.Message, *bachata.Session) (bachata.Decision, error) {
			<-stuck
			return bachata.Pass(), nil
		})); err != nil {
			t.Fatal(err)
		}
		anna := connect(t, c, "anna")
		returned := make(chan bool)
		go func() {
			anna.send(`{"id":"1","type":"nobody's"}`)
			close(returned)
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		if err := c.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "has not returned") {
			t.Errorf("Shutdown() = %v, want that something has not returned, and the end of its context", err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		if d := time.Since(start); d != 6*time.Second {
			t.Errorf("Shutdown and Close took %v, want 6s", d)
		}
		if code := anna.closeCode(); code != bachata.CloseGoingAway {
			t.Errorf("close code %d, want %d", code, bachata.CloseGoingAway)
		}
		close(stuck)
		<-returned
	})
}

// A drain asks at once whether receipts have arrived.
func TestShutdownProvesReceipts(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, q *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(hi)
		bob.send(got1)
		anna.expect(ok1, tick)
		done := make(chan error)
		go func() { done <- c.Shutdown(t.Context()) }()
		anna.pong()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		left, err := q.Fetch(t.Context(), "anna", 0, bachata.Limit{})
		if err != nil || len(left) != 0 {
			t.Errorf("anna's inbox holds %v (%v) after the receipt was proved, want nothing", left, err)
		}
	})
}

// Close waits for the route that runs, not for those of all messages that came with one read.
func TestCloseWaitsForOneRoute(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		slow := bachata.RouteFunc(func(context.Context, *bachata.Message, *bachata.Session) (bachata.Decision, error) {
			time.Sleep(time.Second)
			return bachata.Stop(), nil
		})
		if err := c.AddRoute(&slow); err != nil {
			t.Fatal(err)
		}
		anna := connect(t, c, "anna")
		go anna.session.Receive(slices.Repeat([][]byte{[]byte(`{"id":1,"type":"x"}`)}, 100))
		time.Sleep(1500 * time.Millisecond)
		start := time.Now()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("Close took %v, want half a second", d)
		}
	})
}

// slowQueue reads the inbox of bob only when the gate is open.
type slowQueue struct {
	*faultyQueue
	gate chan struct{}
}

func (q slowQueue) Fetch(ctx context.Context, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
	if channel == "bob" {
		<-q.gate
	}
	return q.faultyQueue.Fetch(ctx, channel, after, limit)
}

// What is just being read from an inbox when a drain begins is not written behind the 1003.
func TestNothingNewBehindThe1003(t *testing.T) {
	t.Parallel()
	bubbleIn(t, nil, nil, func(inner bachata.Queue) slowQueue {
		return slowQueue{&faultyQueue{Queue: inner}, make(chan struct{})}
	}, func(t *testing.T, c *bachata.Center, q slowQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(`{"id":"1","type":"direct","dest":"anna"}`, `{"id":"2","type":"direct","dest":"bob"}`)
		done := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			done <- c.Shutdown(ctx)
		}()
		if got := bob.take(); len(got) != 1 || !strings.HasPrefix(got[0], `{"type":1003,"data":`) {
			t.Errorf("bob was told %q, want a 1003", got)
		}
		close(q.gate)
		bob.expect()
		anna.send(got1)
		if err := <-done; err != nil {
			t.Errorf("Shutdown() = %v, though nothing is outstanding", err)
		}
	})
}

func TestCloseUser(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		phone := attach(t, c, bachata.Identity{User: "bob", Channel: "bob-phone"})
		laptop := attach(t, c, bachata.Identity{User: "bob", Channel: "bob-laptop"})
		anna := connect(t, c, "anna")
		if n := c.CloseUser("bob", bachata.CloseNotAllowed, "banned"); n != 2 {
			t.Errorf("CloseUser(bob) = %d, want 2", n)
		}
		if phone.closeCode() != 4403 || laptop.closeCode() != 4403 || anna.closeCode() != 0 {
			t.Errorf("close codes %d, %d, %d, want 4403, 4403, none", phone.closeCode(), laptop.closeCode(), anna.closeCode())
		}
	})
}

// An ephemeral message that comes while a session is being opened must not be written before its 1000.
func TestNothingComesBeforeThe1000(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		typing, err := c.Decode([]byte(`{"type":"direct","dest":"bob","ephemeral":true}`))
		if err != nil {
			t.Fatal(err)
		}
		bob := &peer{t: t, socket: &socket{}}
		bob.onWrite = func() {
			bob.onWrite = nil
			go func() {
				if _, err := c.Process(t.Context(), typing); err != nil {
					t.Error(err)
				}
			}()
		}
		if bob.session, err = c.Attach(bob.socket, bachata.Identity{Channel: "bob"}); err != nil {
			t.Fatal(err)
		}
		bob.expect(`{"type":1000,"dedupe":3600000,"max":65536,"from":"bob"}`, `{"type":"direct","dest":"bob","ephemeral":true}`)
	})
}
