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

// However many messages come meanwhile, it is looked ten times a second whether such a socket takes more.
func TestSimpleModeLooksAfterSlowReaders(t *testing.T) {
	t.Parallel()
	bubbleOn(t, &memory.Options{Simple: true}, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		bob := &stopped{socket: &socket{}}
		var err error
		if bob.session, err = c.Attach(bob, bachata.Identity{Channel: "bob"}); err != nil {
			t.Fatal(err)
		}
		m, err := bachata.MakeMessage(bachata.Draft{Type: "x"})
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			if _, err := c.Send(t.Context(), m, "bob"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		before := bob.asked.Load()
		time.Sleep(10 * time.Second)
		if n := bob.asked.Load() - before; n < 50 || n > 200 {
			t.Errorf("asked %d times in 10 s how much it keeps, want about 100 times", n)
		}
	})
}

// stopped is a socket whose client reads nothing.
type stopped struct {
	*socket
	asked atomic.Int32
}

func (s *stopped) Buffered() int {
	s.asked.Add(1)
	return 1 << 20
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
