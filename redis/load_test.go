package redis_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/redis"
)

// load is traffic while something fails: each sender puts messages with growing ids into a channel of its own, sends
// what was refused again, and notes what was accepted. A receiver of each channel confirms by wake-ups, and the sender
// counts its receipts.
type load struct {
	t       testing.TB
	stopped atomic.Bool
	senders sync.WaitGroup
	readers sync.WaitGroup
	done    chan struct{} // closed when the readers may end

	mu       sync.Mutex
	accepted map[string]int    // by channel: ids below were accepted
	refused  int               // puts
	last     error             // why the last put was refused
	risk     map[string][]int  // by channel: ids that the server may have lost, as its level says
	got      map[string][]int  // by channel: ids in the order in which they were popped first
	receipts map[string]string // "channel id": who confirmed
	problems []string
}

const loadChannels = 6

func message(channel string, id int) bachata.Item {
	origin := "of-" + channel
	return bachata.Item{
		Channels: []string{channel}, ID: bachata.StringID(strconv.Itoa(id)), Origin: origin, From: origin, Dest: channel,
		Payload: []byte(fmt.Sprintf(`{"id":"%d","type":"direct","data":"%s"}`, id, channel)),
	}
}

// messages returns the first n for a channel.
func messages(channel string, n int) []bachata.Item {
	items := make([]bachata.Item, n)
	for i := range items {
		items[i] = message(channel, i)
	}
	return items
}

// startLoad starts traffic over the nodes: senders on one, receivers on the next.
func startLoad(t testing.TB, nodes ...*redis.Queue) *load {
	l := newLoad(t)
	for i := range loadChannels {
		channel := fmt.Sprint("load", i)
		sender, receiver := nodes[i%len(nodes)], nodes[(i+1)%len(nodes)]
		l.senders.Go(func() { l.send(sender, channel) })
		l.readers.Go(func() { l.read(receiver, channel, l.message) })
		l.readers.Go(func() { l.read(sender, "of-"+channel, l.receipt) })
	}
	return l
}

// newLoad makes a load without traffic, which ends with the test.
func newLoad(t testing.TB) *load {
	l := &load{t: t, done: make(chan struct{}), accepted: map[string]int{}, got: map[string][]int{}, receipts: map[string]string{}}
	t.Cleanup(l.end)
	return l
}

func (l *load) problem(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problems = append(l.problems, fmt.Sprintf(format, args...))
}

func (l *load) send(q *redis.Queue, channel string) {
	for id := 0; !l.stopped.Load(); id++ {
		for tries := 0; ; tries++ {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			res, err := q.Put(ctx, []bachata.Item{message(channel, id)})
			cancel()
			if err == nil && (res[0][0] == bachata.Stored || res[0][0] == bachata.Duplicate && tries > 0) {
				break
			}
			if err != nil && !errors.Is(err, bachata.ErrUnavailable) || err == nil && res[0][0] != bachata.Unavailable {
				l.problem("put %d into %s: %v %v", id, channel, res, err)
				return
			}
			l.mu.Lock()
			l.refused++
			l.last = err
			l.mu.Unlock()
			if l.stopped.Load() {
				return
			}
			pause(20 * time.Millisecond)
		}
		l.mu.Lock()
		l.accepted[channel] = id + 1
		l.mu.Unlock()
		pause(time.Millisecond) // so that the inbox does not grow without a bound
	}
}

// pause holds a load up: it is no wait for anything.
func pause(d time.Duration) { <-time.After(d) }

// watch watches a channel; what wakes it fills a place of one.
func watch(q *redis.Queue, channel string) (woken chan struct{}, stop func(), err error) {
	woken = make(chan struct{}, 1)
	stop, err = q.Watch(channel, func(bachata.Wake) {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	return woken, stop, err
}

// read pops what is in an inbox, woken by the queue.
func (l *load) read(q *redis.Queue, channel string, note func(channel string, e bachata.Envelope)) {
	wake, stop, err := watch(q, channel)
	if err != nil {
		l.problem("watch %s: %v", channel, err)
		return
	}
	defer stop()
	ctx := context.Background()
	for {
		envs, err := q.Fetch(ctx, channel, 0, bachata.Limit{Messages: 100})
		var keys []bachata.Key
		for _, e := range envs {
			note(channel, e)
			keys = append(keys, bachata.Key{Cursor: e.Cursor})
		}
		if len(keys) > 0 {
			_, err = q.PopDelivered(ctx, channel, channel, keys)
		}
		if err == nil && len(envs) > 0 {
			continue
		}
		var again <-chan time.Time
		if err != nil { // as the center does it
			again = time.After(50 * time.Millisecond)
		}
		select {
		case <-wake:
		case <-again:
		case <-l.done:
			return
		}
	}
}

func (l *load) message(channel string, e bachata.Envelope) {
	id, err := strconv.Atoi(e.ID.Text)
	if err != nil {
		l.problem("%s: unexpected %+v", channel, e)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.got[channel]
	if n := len(got); n == 0 || id > got[n-1] {
		l.got[channel] = append(got, id)
	}
}

func (l *load) receipt(channel string, e bachata.Envelope) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receipts[strings.TrimPrefix(channel, "of-")+" "+e.ID.Text] = e.From
}

func (l *load) end() {
	l.stopped.Store(true)
	l.senders.Wait()
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	l.readers.Wait()
}

// count returns how many messages were accepted so far.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, m := range l.accepted {
		n += m
	}
	return n
}

// grows waits until so many more messages were accepted.
func (l *load) grows(n int) {
	l.t.Helper()
	before := l.count()
	redistest.Eventually(l.t, "load goes on", func() error {
		if got := l.count() - before; got < n {
			l.mu.Lock()
			defer l.mu.Unlock()
			return fmt.Errorf("%d of %d messages accepted, %v, last refused: %w", got, n, l.problems, l.last)
		}
		return nil
	})
}

// snapshot returns what was accepted until now, by channel.
func (l *load) snapshot() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.accepted)
}

// mayLose notes that what was accepted since the snapshot may be lost.
func (l *load) mayLose(since map[string]int) {
	now := l.snapshot()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.risk == nil {
		l.risk = make(map[string][]int)
	}
	for channel, n := range now {
		for id := since[channel]; id <= n; id++ { // the next one may be under way
			l.risk[channel] = append(l.risk[channel], id)
		}
	}
}

// finish ends the senders, waits until everything has arrived, and checks that nothing is missing: every message in its
// order, every receipt.
func (l *load) finish() {
	l.t.Helper()
	l.stopped.Store(true)
	l.senders.Wait()
	missing := 0
	redistest.Eventually(l.t, "everything arrives", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		missing = 0
		for channel, n := range l.accepted {
			seen := map[int]bool{}
			for _, id := range l.got[channel] {
				seen[id] = true
			}
			risk := map[int]bool{}
			for _, id := range l.risk[channel] {
				risk[id] = true
			}
			for id := range n {
				if risk[id] {
					if !seen[id] || l.receipts[fmt.Sprint(channel, " ", id)] != channel {
						missing++
					}
					continue
				}
				if !seen[id] {
					return fmt.Errorf("%s: %d of %d was accepted and has not arrived", channel, id, n)
				}
				if l.receipts[fmt.Sprint(channel, " ", id)] != channel {
					return fmt.Errorf("%s: %d of %d has no receipt", channel, id, n)
				}
			}
		}
		return nil
	})
	l.end()
	for _, p := range l.problems {
		l.t.Error(p)
	}
	l.t.Logf("%d messages accepted, %d puts refused meanwhile, %d lost within what the level of the server says", l.count(), l.refused, missing)
}
