package bachata_test

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

// socket is a carrier in memory: it notes what was written to it. pinging sockets (the default) are Barriers.
type socket struct {
	session *bachata.Session
	onWrite func() // called before a write is noted

	mu     sync.Mutex
	frames []string
	pings  []string
	writes int
	closed bachata.CloseCode
}

func (s *socket) AppendFrame(dst, text []byte) []byte { return appendPart(dst, 'T', text) }

func appendPart(dst []byte, kind byte, text []byte) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, kind), uint32(len(text)))
	return append(dst, text...)
}

func (s *socket) Write(frames []byte) error {
	if s.onWrite != nil {
		s.onWrite()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed != 0 {
		return errors.New("closed")
	}
	s.writes++
	for len(frames) > 0 {
		n := 5 + binary.BigEndian.Uint32(frames[1:])
		if text := string(frames[5:n]); frames[0] == 'T' {
			s.frames = append(s.frames, text)
		} else {
			s.pings = append(s.pings, text)
		}
		frames = frames[n:]
	}
	return nil
}

func (s *socket) Close(code bachata.CloseCode, _ string) {
	s.mu.Lock()
	again := s.closed != 0
	if !again {
		s.closed = code
	}
	s.mu.Unlock()
	if !again {
		go s.session.Detach()
	}
}

// pingingSocket can also prove what arrived.
type pingingSocket struct{ *socket }

func (s pingingSocket) AppendPing(dst, payload []byte) []byte { return appendPart(dst, 'P', payload) }

// peer is a client on such a socket, in a synctest bubble.
type peer struct {
	t *testing.T
	*socket
}

// connect opens a session for channel and takes its 1000.
func connect(t *testing.T, c *bachata.Center, channel string) *peer {
	t.Helper()
	p := attach(t, c, bachata.Identity{Channel: channel})
	if got := p.take(); len(got) == 0 || !strings.HasPrefix(got[0], `{"type":1000`) {
		t.Fatalf("%s was first told %q, want a 1000", channel, got)
	} else {
		p.frames = append(slices.Clone(got[1:]), p.frames...)
	}
	return p
}

func attach(t *testing.T, c *bachata.Center, id bachata.Identity) *peer {
	t.Helper()
	p := &peer{t: t, socket: &socket{}}
	var err error
	if p.session, err = c.Attach(pingingSocket{p.socket}, id); err != nil {
		t.Fatalf("Attach(%+v) = %v", id, err)
	}
	return p
}

// holdUp has the next write to p say so on entered, and wait until gate is closed.
func (p *peer) holdUp() (gate, entered chan struct{}) {
	gate, entered = make(chan struct{}), make(chan struct{})
	var once sync.Once
	p.onWrite = func() {
		once.Do(func() {
			close(entered)
			<-gate
		})
	}
	return gate, entered
}

// send hands texts to the session as one read, and waits until all that follows from it is done.
func (p *peer) send(texts ...string) {
	p.t.Helper()
	frames := make([][]byte, len(texts))
	for i, text := range texts {
		frames[i] = []byte(text)
	}
	p.session.Receive(frames)
	synctest.Wait()
}

// take returns what was written since the last time.
func (p *peer) take() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	frames := p.frames
	p.frames = nil
	return frames
}

// expect takes what was written and compares it; times are written as 0.
func (p *peer) expect(want ...string) {
	p.t.Helper()
	got := p.take()
	for i := range got {
		if j := strings.Index(got[i], `,"time":`); j >= 0 {
			got[i] = got[i][:j] + `,"time":0}`
		}
	}
	if !slices.Equal(got, want) {
		p.t.Fatalf("%s was written\n  %s\nwant\n  %s", p.session.Identity().Channel, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// lastPing takes the pings and returns the last.
func (p *peer) lastPing() string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pings) == 0 {
		return ""
	}
	last := p.pings[len(p.pings)-1]
	p.pings = nil
	return last
}

func (p *peer) pong() {
	p.t.Helper()
	ping := p.lastPing()
	if ping == "" {
		p.t.Fatalf("%s got no ping", p.session.Identity().Channel)
	}
	p.session.Pong([]byte(ping))
	synctest.Wait()
}

func (p *peer) closeCode() bachata.CloseCode {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// bubble runs test in a synctest bubble with a center on a memory queue that has the direct route.
func bubble(t *testing.T, o *bachata.Options, test func(t *testing.T, c *bachata.Center, q *faultyQueue)) {
	t.Helper()
	bubbleOn(t, nil, o, test)
}

func bubbleOn(t *testing.T, qo *memory.Options, o *bachata.Options, test func(t *testing.T, c *bachata.Center, q *faultyQueue)) {
	t.Helper()
	bubbleIn(t, qo, o, func(inner bachata.Queue) *faultyQueue { return &faultyQueue{Queue: inner} }, test)
}

// bubbleIn is bubbleOn for a queue that is wrapped in something else.
func bubbleIn[Q bachata.Queue](t *testing.T, qo *memory.Options, o *bachata.Options, wrap func(inner bachata.Queue) Q,
	test func(t *testing.T, c *bachata.Center, q Q),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		inner := memory.New(qo)
		defer inner.Close()
		q := wrap(inner)
		c := bachata.NewCenter(q, o)
		defer synctest.Wait()
		defer c.Close()
		if err := c.AddRoute(bachata.Direct("direct")); err != nil {
			t.Fatal(err)
		}
		test(t, c, q)
	})
}

// faultyQueue is a queue that can be made to fail, and to lose its wake-ups.
type faultyQueue struct {
	bachata.Queue
	putFails, popFails, fetchFails, loseWakes atomic.Bool
}

func (q *faultyQueue) Put(ctx context.Context, items []bachata.Item) ([]bachata.PutResult, error) {
	if q.putFails.Load() {
		return nil, bachata.ErrUnavailable
	}
	return q.Queue.Put(ctx, items)
}

func (q *faultyQueue) PopDelivered(ctx context.Context, channel, by string, keys []bachata.Key) ([]bachata.Popped, error) {
	if q.popFails.Load() {
		return nil, bachata.ErrUnavailable
	}
	return q.Queue.PopDelivered(ctx, channel, by, keys)
}

func (q *faultyQueue) Fetch(ctx context.Context, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
	if q.fetchFails.Load() {
		return nil, bachata.ErrUnavailable
	}
	return q.Queue.Fetch(ctx, channel, after, limit)
}

func (q *faultyQueue) Watch(channel string, wake func(bachata.Wake)) (func(), error) {
	return q.Queue.Watch(channel, func(w bachata.Wake) {
		if !q.loseWakes.Load() {
			wake(w)
		}
	})
}
