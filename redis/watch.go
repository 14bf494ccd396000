package redis

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
)

// wakeSuffix stands behind the key of a channel's list in the name of what is published for it.
const wakeSuffix = "::wake"

// watcher keeps this node subscribed to the channels that are watched here, over one connection to each primary. Its
// one goroutine (subscribe.go) does all the talking; a subscription that is confirmed is followed by a look at what the
// inbox holds, so that no wake-up is lost.
type watcher struct {
	q        *Queue
	watchers inbox.Watchers
	kicked   chan struct{} // something is to be done

	mu       sync.Mutex
	channels map[string]*subscription // by the key of the list
	add      map[string]*subscription // to be subscribed
	remove   map[string]*line         // to be unsubscribed, and where they are
	lost     []*line                  // connections that ended
	lines    map[string]*line         // by address; changed by the goroutine only

	failing time.Time // since when subscribing fails; used by the goroutine only, like the next
	told    bool      // that was logged
}

// subscription is one watched channel.
type subscription struct {
	channel string
	list    string
	bucket  int
	refs    int
	on      *line  // that it is subscribed on
	seen    uint64 // the last number of its inbox when it was looked at
}

func newWatcher(q *Queue) *watcher {
	return &watcher{
		q:        q,
		kicked:   make(chan struct{}, 1),
		channels: make(map[string]*subscription),
		add:      make(map[string]*subscription),
		remove:   make(map[string]*line),
		lines:    make(map[string]*line),
	}
}

// Watch is bachata.Queue's. It does not wait for the server: when that has confirmed the subscription, and whenever it
// has been away, wake is called if the inbox holds something.
func (q *Queue) Watch(channel string, wake func(bachata.Wake)) (stop func(), err error) {
	if q.closed.Load() {
		return nil, bachata.ErrQueueClosed
	}
	w := q.watch
	leave := w.watchers.Add(channel, wake)
	w.join(channel)
	return sync.OnceFunc(func() {
		leave()
		w.part(channel)
	}), nil
}

func (w *watcher) join(channel string) {
	list := w.q.keys.list(channel)
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.channels[list]
	if s == nil {
		s = &subscription{channel: channel, list: list, bucket: w.q.keys.bucket(channel)}
		w.channels[list] = s
		w.add[list] = s
		w.kick()
	} else if s.on != nil { // the new watcher may have missed what the others were woken for: it fetches by itself
		s.seen = 0
	}
	s.refs++
}

func (w *watcher) part(channel string) {
	list := w.q.keys.list(channel)
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.channels[list]
	if s == nil {
		return
	}
	if s.refs--; s.refs > 0 {
		return
	}
	delete(w.channels, list)
	delete(w.add, list)
	if s.on != nil {
		w.remove[list] = s.on
		w.kick()
	}
}

// kick has the goroutine look for work.
func (w *watcher) kick() {
	select {
	case w.kicked <- struct{}{}:
	default:
	}
}

// received is called for what a connection brings, and must not block.
func (w *watcher) received(m rueidis.PubSubMessage) {
	list, ok := strings.CutSuffix(m.Channel, wakeSuffix)
	if !ok {
		return
	}
	channel := w.q.keys.channel(list)
	if w.q.publisher.received(channel, m.Message) {
		return
	}
	w.watchers.Wake(channel, func() bachata.Wake {
		return w.q.wake(channel, list, m.Message)
	})
}

// wake makes a Wake of what was published for channel. Anything that is not understood is an empty one.
func (q *Queue) wake(channel, list, message string) bachata.Wake {
	if q.limits.Simple {
		return bachata.Wake{}
	}
	prev, t, ok := splitWake(message)
	if !ok {
		return bachata.Wake{}
	}
	e, ok := t.decode(channel)
	if !ok {
		return bachata.Wake{}
	}
	q.noteHanded(list, &e, &t)
	return bachata.Wake{Prev: prev, Envelopes: []bachata.Envelope{e}}
}

// dropped notes that the server ended a subscription by itself: its slot has moved, or the connection has ended.
func (w *watcher) dropped(l *line, list string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.channels[list]; s != nil && s.on == l {
		s.on = nil
		w.add[list] = s
		w.kick()
	}
}

// ended notes that a connection is over; all that was on it is subscribed anew.
func (w *watcher) ended(l *line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost = append(w.lost, l)
	w.kick()
}

// run does the watcher's work until the queue is closed.
func (w *watcher) run() {
	defer w.closeLines()
	ping := time.NewTicker(w.pingEvery())
	defer ping.Stop()
	every := w.q.limits.Sweep
	if every <= 0 {
		every = time.Minute
	}
	sweep := time.NewTicker(max(every, time.Second))
	defer sweep.Stop()
	poll := w.poller()
	defer poll.Stop()
	backoff := minBackoff
	var retry <-chan time.Time
	for {
		select {
		case <-w.q.ctx.Done():
			return
		case <-w.kicked:
			if retry != nil {
				continue // the server is away
			}
		case <-retry:
			retry = nil
		case <-ping.C:
			w.pingAll()
		case <-sweep.C:
			w.sweep(w.all(), false)
			continue
		case <-poll.C:
			w.poll()
			continue
		}
		err := w.reconcile()
		w.note(err)
		if err == nil {
			backoff = minBackoff
			continue
		}
		if retry == nil {
			retry = time.After(jitter(backoff))
			backoff = min(2*backoff, maxBackoff)
		}
	}
}

const (
	minBackoff = 20 * time.Millisecond
	maxBackoff = 2 * time.Second
)

func (w *watcher) pingEvery() time.Duration { return min(w.q.options.Timeout, 3*time.Second) }

// note logs that subscribing fails, once that has gone on for a while: the rest may work, and then nothing else says so.
func (w *watcher) note(err error) {
	switch {
	case err == nil:
		if w.told {
			w.q.log.Info("redis: wake-ups are subscribed again")
		}
		w.failing, w.told = time.Time{}, false
	case w.failing.IsZero():
		w.failing = time.Now()
	case !w.told && time.Since(w.failing) >= w.q.options.Timeout && w.q.ctx.Err() == nil:
		w.told = true
		w.q.log.Warn("redis: wake-ups can't be subscribed, inboxes are only looked at now and then", "error", withoutArgs(err))
	}
}

// all returns all that is watched, also what could not be subscribed.
func (w *watcher) all() []*subscription {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Values(w.channels))
}

// subscribed returns those of list that are.
func (w *watcher) subscribed(list []*subscription) []*subscription {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(list), func(s *subscription) bool { return s.on == nil })
}
