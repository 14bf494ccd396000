package bachata_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

func TestSimpleMode(t *testing.T) {
	t.Parallel()
	bubbleOn(t, &memory.Options{Simple: true}, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna := connect(t, c, "anna")
		anna.send(hi, hi)
		anna.expect(ok1, ok1) // nothing is recognized
		phone := connect(t, c, "bob")
		phone.expect(hiAt, hiAt)
		laptop := connect(t, c, "bob")
		laptop.expect() // they are gone
		anna.send(hi)
		phone.expect(hiAt)
		laptop.expect(hiAt)
		phone.send(got1, `{"type":1001}`)
		phone.expect(`{"type":1002}`)
		anna.expect(ok1)
	})
}

func TestSimpleModeAnnouncesNoWindow(t *testing.T) {
	t.Parallel()
	bubbleOn(t, &memory.Options{Simple: true}, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		attach(t, c, bachata.Identity{Channel: "anna"}).expect(`{"type":1000,"max":65536,"from":"anna"}`)
	})
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		attach(t, c, bachata.Identity{Channel: "a", From: "anna"}).expect(`{"type":1000,"dedupe":3600000,"max":65536,"from":"anna"}`)
	})
}

// What nobody reads stays in the queue: a slow socket gets no more than it can keep.
func TestSimpleModeWaitsForSlowReaders(t *testing.T) {
	t.Parallel()
	bubbleOn(t, &memory.Options{Simple: true}, nil, func(t *testing.T, c *bachata.Center, q *faultyQueue) {
		m, err := bachata.MakeMessage(bachata.Draft{Type: "x", Data: strings.Repeat("x", 32<<10)})
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			if _, err := c.Send(t.Context(), m, "bob"); err != nil {
				t.Fatal(err)
			}
		}
		bob := &slow{socket: &socket{}}
		if bob.session, err = c.Attach(bob, bachata.Identity{Channel: "bob"}); err != nil {
			t.Fatal(err)
		}
		total := 0
		for range 1000 {
			synctest.Wait()
			total += bob.read()
			time.Sleep(time.Second)
		}
		if total != 1000 {
			t.Errorf("bob read %d of 1000 messages", total)
		}
		if code := (&peer{t: t, socket: bob.socket}).closeCode(); code != 0 {
			t.Errorf("bob was closed: %d", code)
		}
	})
}

// slow is a socket whose client reads when read is called, and that closes itself past 1 MiB.
type slow struct {
	*socket
	kept, messages int
}

func (s *slow) Write(frames []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept+len(frames) > 1<<20 {
		s.closed = bachata.CloseStopped
		return errors.New("closed")
	}
	s.kept += len(frames)
	s.messages += strings.Count(string(frames), `"type":"x"`)
	return nil
}

func (s *slow) Buffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept
}

func (s *slow) read() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.messages
	s.kept, s.messages = 0, 0
	return n
}

// hookedQueue calls a function within the next Fetch that finds something, which is gone from the queue then.
type hookedQueue struct {
	bachata.Queue
	hook atomic.Pointer[func()]
}

func (q *hookedQueue) Fetch(ctx context.Context, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
	list, err := q.Queue.Fetch(ctx, channel, after, limit)
	if len(list) > 0 {
		if hook := q.hook.Swap(nil); hook != nil {
			(*hook)()
		}
	}
	return list, err
}

// What is taken off the queue while one socket goes and the next one comes is written to that one, whichever is first.
func TestSimpleReconnectDuringAFetch(t *testing.T) {
	t.Parallel()
	hooked := func(inner bachata.Queue) *hookedQueue { return &hookedQueue{Queue: inner} }
	for _, first := range []string{"comes", "goes"} {
		t.Run("one "+first+" first", func(t *testing.T) {
			t.Parallel()
			bubbleIn(t, &memory.Options{Simple: true}, nil, hooked, func(t *testing.T, c *bachata.Center, q *hookedQueue) {
				anna, old := connect(t, c, "anna"), connect(t, c, "bob")
				var next *peer
				hook := func() {
					if first == "goes" {
						old.session.Detach()
					}
					next = connect(t, c, "bob")
					old.session.Close(bachata.CloseNormal, "")
				}
				q.hook.Store(&hook)
				anna.send(hi)
				if got := next.take(); len(got) != 1 || got[0] != hiAt {
					t.Errorf("the socket that came during the fetch was written %q, want %q", got, hiAt)
				}
				next.session.Detach()
				anna.send(hi)
				connect(t, c, "bob").expect(hiAt) // nobody took it meanwhile
			})
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
	gone := func(t *testing.T, c *bachata.Center, hooks *hookedQueue, left func() ([]bachata.Envelope, error)) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		hook := func() { bob.session.Detach() }
		hooks.hook.Store(&hook)
		anna.send(hi)
		if list, err := left(); err != nil || len(list) != 1 || string(list[0].Payload) != hiAt {
			t.Errorf("the queue holds %v, %v; want the message that nobody was there for", list, err)
		}
	}
	hooked := func(inner bachata.Queue) *hookedQueue { return &hookedQueue{Queue: inner} }
	bubbleIn(t, &memory.Options{Simple: true}, nil, hooked, func(t *testing.T, c *bachata.Center, q *hookedQueue) {
		gone(t, c, q, func() ([]bachata.Envelope, error) {
			return q.Queue.Fetch(t.Context(), "bob", 0, bachata.Limit{})
		})
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
