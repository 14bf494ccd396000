package bachata_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

// What is handed over stays before what came later, also for a socket that comes when the last one has just gone.
func TestSimpleHandOverKeepsTheOrder(t *testing.T) {
	t.Parallel()
	bubbleOnSimple(t, func(t *testing.T, c *bachata.Center, _ *fetchCounter) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		next := &peer{t: t, socket: &socket{}}
		anna.onWrite = func() { // at the 100s: the first is handed over, the second waits behind it in the queue
			anna.onWrite = nil
			bob.session.Detach()
			var err error
			if next.session, err = c.Attach(next.socket, bachata.Identity{Channel: "bob"}); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Millisecond) // in the bubble: until all that follows from it is done
		}
		anna.send(hi, second)
		next.expect(`{"type":1000,"max":65536,"from":"bob"}`, hiAt, secondAt)
	})
}

// What a socket does not take, because it is being closed, is for the next one.
func TestSimpleSocketTakesNothingMore(t *testing.T) {
	t.Parallel()
	shut := func(p *peer) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.closed = bachata.CloseStopped // and its client has not answered that yet
	}
	t.Run("handed over", func(t *testing.T) {
		t.Parallel()
		bubbleOnSimple(t, func(t *testing.T, c *bachata.Center, _ *fetchCounter) {
			anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
			shut(bob)
			anna.send(hi, second)
			connect(t, c, "bob").expect(hiAt, secondAt)
		})
	})
	t.Run("fetched", func(t *testing.T) {
		t.Parallel()
		bubbleIn(t, &memory.Options{Simple: true}, nil, hookedMemory, func(t *testing.T, c *bachata.Center, q *fetchHookedMemory) {
			bob := connect(t, c, "bob")
			hook := func() { shut(bob) }
			q.hooked.hook.Store(&hook)
			putHi(t, q)
			synctest.Wait()
			connect(t, c, "bob").expect(hiAt)
		})
	})
}

// stoppingQueue does not put anything more, from when it is stuck, before the context ends.
type stoppingQueue struct {
	*fetchHookedMemory
	stuck bool
}

func (q *stoppingQueue) Put(ctx context.Context, items []bachata.Item) ([]bachata.PutResult, error) {
	if q.stuck {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return q.fetchHookedMemory.Put(ctx, items)
}

// leaveOne has a message for bob handed out when he has just gone.
func leaveOne(t *testing.T, c *bachata.Center, q *fetchHookedMemory) {
	t.Helper()
	bob := connect(t, c, "bob")
	hook := func() { bob.session.Detach() }
	q.hooked.hook.Store(&hook)
	putHi(t, q)
	synctest.Wait()
}

// A queue that is stuck does not keep Shutdown from ending either when something is to go back to it.
func TestShutdownWithLeftoversOfAStuckQueue(t *testing.T) {
	t.Parallel()
	o, log := logged()
	bubbleIn(t, &memory.Options{Simple: true}, o, func(inner bachata.Queue) *stoppingQueue {
		return &stoppingQueue{fetchHookedMemory: hookedMemory(inner)}
	}, func(t *testing.T, c *bachata.Center, q *stoppingQueue) {
		leaveOne(t, c, q.fetchHookedMemory)
		q.stuck = true
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		if err := c.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown() = %v, want the end of its context", err)
		}
		if d := time.Since(start); d != 6*time.Second {
			t.Errorf("Shutdown took %v, want 6s", d)
		}
	})
	if !strings.Contains(log.String(), "handed out are lost\" messages=1") {
		t.Errorf("logged %q, want that a message for bob is lost", log.String())
	}
}

// What the inbox has no room for any more when it goes back is said to be lost.
func TestLeftoversOfAFullInbox(t *testing.T) {
	t.Parallel()
	qo := &memory.Options{Simple: true, InboxMessages: 1}
	o, log := logged()
	bubbleIn(t, qo, o, hookedMemory, func(t *testing.T, c *bachata.Center, q *fetchHookedMemory) {
		leaveOne(t, c, q)
		putHi(t, q)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	})
	if !strings.Contains(log.String(), "handed out are lost\" messages=1") {
		t.Errorf("logged %q, want that a message for bob is lost", log.String())
	}
}

// That goes for connections too, and for several messages that are written at once.
func TestSimpleConnectionTakesNothingMore(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := memory.New(&memory.Options{Simple: true})
			center, sessions := centerOn(t, q), make(chan *bachata.Session, 2)
			url := serve(t, nil, func(h *bachata.Handler) {
				h.Center = center
				h.OnOpen = func(s *bachata.Session, _ *http.Request) { sessions <- s }
			})
			ready(t, url)
			s := <-sessions
			s.Close(bachata.CloseStopped, "") // which the client has not answered yet
			me := []string{s.Identity().Channel}
			if _, err := q.Put(t.Context(), []bachata.Item{{Channels: me, Payload: []byte(hiAt)}, {Channels: me, Payload: []byte(secondAt)}}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the socket refuses", func() bool { return bachata.Refused(s) })
			next := ready(t, url)
			for _, want := range []string{hiAt, secondAt} {
				if got := next.text(); got != want {
					t.Errorf("the next socket was written %s, want %s", got, want)
				}
			}
		})
	}
}

// fetchHookedMemory is the memory queue as it is, with such a function.
type fetchHookedMemory struct {
	*memory.Queue
	hooked hookedQueue
}

func (q *fetchHookedMemory) Fetch(ctx context.Context, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
	return q.hooked.Fetch(ctx, channel, after, limit)
}

func hookedMemory(inner bachata.Queue) *fetchHookedMemory {
	return &fetchHookedMemory{Queue: inner.(*memory.Queue), hooked: hookedQueue{Queue: inner}}
}

const (
	second   = `{"id":"2","type":"direct","dest":"bob"}`
	secondAt = `{"id":"2","type":"direct","dest":"bob","from":"anna"}`
)

// putHi puts a message for bob past the center, to which it is not handed over then, but to be fetched.
func putHi(t *testing.T, q bachata.Queue) {
	t.Helper()
	if _, err := q.Put(t.Context(), []bachata.Item{{Channels: []string{"bob"}, Payload: []byte(hiAt)}}); err != nil {
		t.Fatal(err)
	}
}

// What was taken off the queue when the last socket had just gone is for the next one, before what came later.
func TestSimpleLastSocketGoesDuringAFetch(t *testing.T) {
	t.Parallel()
	bubbleIn(t, &memory.Options{Simple: true}, nil, hookedMemory, func(t *testing.T, c *bachata.Center, q *fetchHookedMemory) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		hook := func() {
			anna.session.Receive([][]byte{[]byte(second)})
			bob.session.Detach()
		}
		q.hooked.hook.Store(&hook)
		putHi(t, q)
		synctest.Wait()
		anna.send(`{"id":"3","type":"direct","dest":"bob"}`)
		connect(t, c, "bob").expect(hiAt, secondAt, `{"id":"3","type":"direct","dest":"bob","from":"anna"}`)
		connect(t, c, "bob").expect()
	})
}

// Where other nodes may serve the user next, it goes back into the queue; so it does when the center closes.
func TestSimpleGivesBack(t *testing.T) {
	t.Parallel()
	hooked := func(inner bachata.Queue) *hookedQueue { return &hookedQueue{Queue: inner} }
	bubbleIn(t, &memory.Options{Simple: true}, nil, hooked, func(t *testing.T, c *bachata.Center, q *hookedQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		hook := func() { bob.session.Detach() }
		q.hook.Store(&hook)
		anna.send(hi)
		if list, err := q.Queue.Fetch(t.Context(), "bob", 0, bachata.Limit{}); err != nil || len(list) != 1 || string(list[0].Payload) != hiAt {
			t.Errorf("the queue holds %v, %v; want the message that nobody was there for", list, err)
		}
	})
	bubbleIn(t, &memory.Options{Simple: true}, nil, hookedMemory, func(t *testing.T, c *bachata.Center, q *fetchHookedMemory) {
		bob := connect(t, c, "bob")
		hook := func() { bob.session.Detach() }
		q.hooked.hook.Store(&hook)
		putHi(t, q)
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if list, err := q.Queue.Fetch(t.Context(), "bob", 0, bachata.Limit{}); err != nil || len(list) != 1 || string(list[0].Payload) != hiAt {
			t.Errorf("after Close the queue holds %v, %v; want the message that nobody was there for", list, err)
		}
	})
}

// What was handed over in a put, when the last socket goes before it is written, is for the next one.
func TestSimpleLastSocketGoesBeforeAHandOver(t *testing.T) {
	t.Parallel()
	bubbleOnSimple(t, func(t *testing.T, c *bachata.Center, q *fetchCounter) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		before := q.fetches.Load()
		anna.onWrite = func() { // at the 100
			anna.onWrite = nil
			bob.session.Detach()
		}
		anna.send(hi)
		if n := q.fetches.Load() - before; n != 0 {
			t.Fatalf("%d fetches for what could be handed over", n)
		}
		anna.send(second)
		connect(t, c, "bob").expect(hiAt, secondAt)
	})
}
