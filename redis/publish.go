package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
)

// What is published without being stored goes to the subscribers of this node at once, and with the name of this node
// to all who are subscribed to the wake-ups of its channel. It begins with a byte with which no wake-up does: those begin
// with a number that is a time.
const (
	shownMark = "\xff"
	nodeBytes = 8
)

// Bounds of what waits to be published. Behind them it is lost, as it may be.
const (
	mostShown      = 10_000
	mostShownBytes = 8 << 20
	shownAtOnce    = 512
)

// publisher publishes what is not stored, so that nobody waits for the server.
type publisher struct {
	q     *Queue
	node  string
	local inbox.Watchers

	mu    sync.Mutex
	lanes map[int]*lane // by bucket
	count int           // of what waits in all of them
	bytes int
}

// lane publishes for the channels of one bucket, in order: a primary that does not answer holds up nobody else's.
type lane struct {
	list    []shown
	working bool
	failed  error // the last try, if it did
}

// shown is what waits to be published.
type shown struct {
	to      string
	payload []byte
}

func newPublisher(q *Queue) *publisher {
	node := make([]byte, nodeBytes)
	_, _ = rand.Read(node) // which never fails
	return &publisher{q: q, node: string(node), lanes: make(map[int]*lane)}
}

// Publish is bachata.Publisher's. It does not wait for the server: the sockets of this node have the payload when it returns, those
// of others have it soon, or not at all. An error says that the server (of a cluster the primary of that channel) has not
// taken what was published last, or that too much waits to be published: 10,000 or 8 MiB.
func (q *Queue) Publish(_ context.Context, channel string, payload []byte) error {
	if q.closed.Load() {
		return bachata.ErrQueueClosed
	}
	q.publisher.show(channel, payload)
	l, start, err := q.publisher.add(q.keys.bucket(channel), shown{q.keys.list(channel) + wakeSuffix, payload})
	if start {
		q.start(func() { q.publisher.work(l) })
	}
	return err
}

// Subscribe is bachata.Publisher's. It does not wait for the server.
func (q *Queue) Subscribe(channel string, receive func(payload []byte)) (stop func(), err error) {
	if q.closed.Load() {
		return nil, bachata.ErrQueueClosed
	}
	leave := q.publisher.local.Add(channel, func(w bachata.Wake) { receive(w.Envelopes[0].Payload) })
	q.watch.join(channel)
	return sync.OnceFunc(func() {
		leave()
		q.watch.part(channel)
	}), nil
}

// show hands payload to the subscribers of this node.
func (p *publisher) show(channel string, payload []byte) {
	p.local.Wake(channel, func() bachata.Wake { return bachata.Wake{Envelopes: []bachata.Envelope{{Payload: payload}}} })
}

// received shows what another node has published for channel. It reports false if message is none of that.
func (p *publisher) received(channel, message string) bool {
	text, ok := strings.CutPrefix(message, shownMark)
	if !ok || len(text) < nodeBytes {
		return false
	}
	if text[:nodeBytes] != p.node {
		p.show(channel, []byte(text[nodeBytes:]))
	}
	return true
}

var errBehind = errors.New("too much waits to be published")

// add has s wait in the lane of a bucket, which is to be worked on if start says so. err says how the lane's last try failed.
func (p *publisher) add(bucket int, s shown) (l *lane, start bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count >= mostShown || p.bytes+len(s.payload) > mostShownBytes {
		return nil, false, fmt.Errorf("redis: publish: %w: %w", bachata.ErrUnavailable, errBehind)
	}
	p.count++
	p.bytes += len(s.payload)
	l = p.lanes[bucket]
	if l == nil {
		l = new(lane)
		p.lanes[bucket] = l
	}
	l.list = append(l.list, s)
	start = !l.working
	l.working = true
	return l, start, l.failed
}

// work publishes what waits in l.
func (p *publisher) work(l *lane) {
	for list := p.take(l); len(list) > 0; list = p.take(l) {
		err := p.publish(list)
		p.mu.Lock()
		l.failed = err
		p.mu.Unlock()
	}
}

// take returns what is to be published next. If that is nothing, l does not work any more.
func (p *publisher) take(l *lane) []shown {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(len(l.list), shownAtOnce)
	list := slices.Clone(l.list[:n])
	clear(l.list[:n]) // the rest may keep that memory for long
	for _, s := range list {
		p.bytes -= len(s.payload)
	}
	p.count -= n
	if l.list = l.list[n:]; len(l.list) == 0 {
		l.list = nil
	}
	l.working = n > 0
	return list
}

// publish publishes list. What can't be published now is lost: later nobody would want it.
func (p *publisher) publish(list []shown) error {
	q := p.q
	ctx, cancel := context.WithTimeout(q.ctx, q.options.Timeout)
	defer cancel()
	commands := make([]rueidis.Completed, len(list))
	for i, s := range list {
		commands[i] = q.client.B().Spublish().Channel(s.to).Message(shownMark + p.node + string(s.payload)).Build()
	}
	var failed firstError
	for _, r := range q.client.DoMulti(ctx, commands...) {
		failed.note(r.Error())
	}
	if failed.err == nil {
		return nil
	}
	return q.failed(ctx, "publish", failed.err)
}
