package redis_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
)

// connections counts the clients of a server.
func connections(s *redistest.Server) int {
	return len(strings.Split(strings.TrimSpace(s.Do("CLIENT", "LIST")), "\n"))
}

// BenchmarkSubscribe watches 100,000 channels, each of which holds a message: until every watcher was woken, that is
// until all are subscribed and swept; then all again after the connection was cut.
func BenchmarkSubscribe(b *testing.B) {
	const n = 100_000
	s := redistest.Start(b)
	q := openQueue(b, options(s.Addr()))
	ctx := context.Background()
	var items []bachata.Item
	for i := range n {
		items = append(items, message(fmt.Sprint("c", i), 0))
	}
	if _, err := q.Put(ctx, items); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var first, again counter
		first.reached, again.reached = make(chan struct{}), make(chan struct{})
		var cut atomic.Bool
		stops := make([]func(), n)
		start := time.Now()
		for i := range n {
			var one, two atomic.Bool
			stop, err := q.Watch(fmt.Sprint("c", i), func(bachata.Wake) {
				switch {
				case !one.Swap(true):
					first.add(n)
				case cut.Load() && !two.Swap(true):
					again.add(n)
				}
			})
			if err != nil {
				b.Fatal(err)
			}
			stops[i] = stop
		}
		<-first.reached
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "first-ms")
		b.ReportMetric(float64(connections(s)-1), "connections") // without the one that counts

		start = time.Now()
		cut.Store(true)
		s.Do("CLIENT", "KILL", "TYPE", "pubsub")
		<-again.reached
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "again-ms")
		for _, stop := range stops {
			stop()
		}
	}
}

// counter counts up to a number.
type counter struct {
	count   atomic.Int64
	reached chan struct{} // closed when it is
}

func (c *counter) add(most int64) {
	if c.count.Add(1) == most {
		close(c.reached)
	}
}

// BenchmarkWake reports how long it takes from a put to the wake-up on another node, at 5,000 a second, and beside it the
// round trip of a plain SPUBLISH on the same server at the same rate.
func BenchmarkWake(b *testing.B) {
	const rate, n = 5000, 10_000
	s := redistest.Start(b)
	a, other := two(b, options(s.Addr()))
	ctx := context.Background()
	for b.Loop() {
		took := make(chan time.Duration, 2*n)
		stop, err := other.Watch("bob", func(w bachata.Wake) {
			for i := range w.Envelopes {
				if at, err := strconv.ParseInt(string(w.Envelopes[i].Payload), 10, 64); err == nil {
					took <- time.Duration(time.Now().UnixNano() - at)
				}
			}
		})
		if err != nil {
			b.Fatal(err)
		}
		redistest.Eventually(b, "subscribe", func() error {
			if got := s.Do("PUBSUB", "SHARDNUMSUB", "bob::wake"); strings.HasSuffix(got, "0") {
				return fmt.Errorf("%s", got)
			}
			return nil
		})
		pace(n, rate, func(i int) {
			m := message("bob", i)
			m.Payload = strconv.AppendInt(nil, time.Now().UnixNano(), 10)
			if _, err := a.Put(ctx, []bachata.Item{m}); err != nil {
				b.Error(err)
			}
			if i%100 == 99 {
				envs, _ := other.Fetch(ctx, "bob", 0, bachata.Limit{Messages: 100})
				keys := make([]bachata.Key, len(envs))
				for j, e := range envs {
					keys[j].Cursor = e.Cursor
				}
				_, _ = other.PopDelivered(ctx, "bob", "bob", keys)
			}
		})
		stop()
		b.ReportMetric(p99(b, took, n), "wake-p99-µs")

		c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr()}, AlwaysPipelining: true, DisableCache: true})
		if err != nil {
			b.Fatal(err)
		}
		d, cancel := c.Dedicate()
		took = make(chan time.Duration, 2*n)
		d.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: func(m rueidis.PubSubMessage) {
			if at, err := strconv.ParseInt(m.Message, 10, 64); err == nil {
				took <- time.Duration(time.Now().UnixNano() - at)
			}
		}})
		if err := d.Do(ctx, d.B().Ssubscribe().Channel("plain").Build()).Error(); err != nil {
			b.Fatal(err)
		}
		pace(n, rate, func(int) {
			c.Do(ctx, c.B().Spublish().Channel("plain").Message(strconv.FormatInt(time.Now().UnixNano(), 10)).Build())
		})
		b.ReportMetric(p99(b, took, n), "spublish-p99-µs")
		cancel()
		c.Close()
	}
}

// pace calls do n times, at so many a second.
func pace(n, rate int, do func(i int)) {
	start := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := 0; i < n; {
		<-tick.C
		for due := int(time.Since(start).Seconds() * float64(rate)); i < min(n, due); i++ {
			do(i)
		}
	}
}

// p99 returns what 99 % of n took at most, in microseconds. What has not come counts as the longest.
func p99(b *testing.B, took chan time.Duration, n int) float64 {
	b.Helper()
	var all []time.Duration
	for range len(took) {
		all = append(all, <-took)
	}
	if len(all) <= n*99/100 {
		b.Fatalf("%d of %d came with what they are for", len(all), n)
	}
	slices.Sort(all)
	return float64(all[n*99/100].Nanoseconds()) / 1000
}

// BenchmarkMemory reports what the server keeps for a pending message of 200 B, and for an id that is remembered.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	ctx := context.Background()
	for b.Loop() {
		s := redistest.Start(b)
		o := options(s.Addr())
		o.Receipts = 1
		q := openQueue(b, o)
		before := memory(s)
		for start := 0; start < n; start += 200 {
			var items []bachata.Item
			for i := range 200 {
				id := fmt.Sprintf("%08x-b2c3-4d5e-8f90-%012d", start+i, i) // as long as a UUID
				items = append(items, bachata.Item{
					Channels: []string{fmt.Sprint("user", start/200%100)}, ID: bachata.StringID(id), Origin: "anna", From: "anna",
					Dest: fmt.Sprint("user", start/200%100), Payload: text200,
				})
			}
			if _, err := q.Put(ctx, items); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric((memory(s)-before)/n, "B/pending")
		for c := range 100 {
			channel := fmt.Sprint("user", c)
			for {
				envs, err := q.Fetch(ctx, channel, 0, bachata.Limit{Messages: 200})
				if err != nil {
					b.Fatal(err)
				}
				if len(envs) == 0 {
					break
				}
				keys := make([]bachata.Key, len(envs))
				for i, e := range envs {
					keys[i].Cursor = e.Cursor
				}
				if _, err := q.PopDelivered(ctx, channel, channel, keys); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric((memory(s)-before)/n, "B/remembered")
	}
}

// memory returns what a server uses.
func memory(s *redistest.Server) float64 {
	for _, line := range strings.Split(s.Do("INFO", "memory"), "\r\n") {
		if v, ok := strings.CutPrefix(line, "used_memory:"); ok {
			f, _ := strconv.ParseFloat(v, 64)
			return f
		}
	}
	return 0
}

// BenchmarkRandomPop confirms messages of an inbox of 100,000 in random order: all of it handed out and none confirmed,
// which no window allows; not handed out at all; and with 1,000 handed out, as the window of a session has it.
func BenchmarkRandomPop(b *testing.B) {
	const n = 100_000
	ctx := context.Background()
	for _, window := range []int{n, 0, 1000} {
		b.Run(fmt.Sprint("handed-out=", window), func(b *testing.B) {
			s := redistest.Start(b)
			o := options(s.Addr())
			o.InboxMessages = n
			o.Timeout = 20 * time.Second
			q := openQueue(b, o)
			if _, err := q.Put(ctx, messages("bob", n)); err != nil {
				b.Fatal(err)
			}
			var keys []bachata.Key
			if window == 0 {
				for i := range n {
					keys = append(keys, bachata.Key{ID: strconv.Itoa(i)})
				}
			} else {
				envs, err := q.Fetch(ctx, "bob", 0, bachata.Limit{Messages: window})
				if err != nil {
					b.Fatal(err)
				}
				for _, e := range envs {
					keys = append(keys, bachata.Key{Cursor: e.Cursor})
				}
			}
			order := rand.New(rand.NewPCG(1, 2)).Perm(len(keys))
			before := used(b, s)
			s.Do("CONFIG", "RESETSTAT")
			i := 0
			for b.Loop() {
				if popped, err := q.PopDelivered(ctx, "bob", "bob", []bachata.Key{keys[order[i%len(order)]]}); err != nil || i < len(order) && !popped[0].Found {
					b.Fatal(popped, err)
				}
				i++
			}
			b.ReportMetric((used(b, s)-before)/float64(i), "redis-µs/op")
			b.ReportMetric(blocked(b, s), "blocked-µs/op")
		})
	}
}

// blocked returns for how long a script holds up the server on average, by its own clock, since RESETSTAT.
func blocked(t testing.TB, s *redistest.Server) float64 {
	t.Helper()
	_, line, _ := strings.Cut(s.Do("INFO", "commandstats"), "cmdstat_evalsha:")
	_, text, _ := strings.Cut(line, "usec_per_call=")
	text, _, _ = strings.Cut(text, ",")
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestConfirmBackwards confirms a long inbox from its new end, which leaves marks there: the last one must be found as
// fast as the first.
func TestConfirmBackwards(t *testing.T) {
	t.Parallel()
	const n = 5000
	s := redistest.Start(t)
	q := openQueue(t, options(s.Addr()))
	ctx := context.Background()
	if _, err := q.Put(ctx, messages("bob", n)); err != nil {
		t.Fatal(err)
	}
	s.Do("CONFIG", "RESETSTAT")
	for i := n - 1; i >= 0; i -= 250 {
		var keys []bachata.Key
		for j := range 250 {
			keys = append(keys, bachata.Key{ID: strconv.Itoa(i - j)})
		}
		popped, err := q.PopDelivered(ctx, "bob", "bob", keys)
		if err != nil {
			t.Fatal(err)
		}
		for j, p := range popped {
			if !p.Found {
				t.Fatalf("message %d is not found", i-j)
			}
		}
	}
	// 13 steps of a search with two commands each, and what the pop itself needs.
	if calls := commandCalls(t, s); calls > 45*n {
		t.Errorf("confirming %d messages backwards took %d commands", n, calls)
	}
	want(t, q, "bob")
}

// commandCalls counts the commands that a server has carried out.
func commandCalls(t *testing.T, s *redistest.Server) int {
	t.Helper()
	sum := 0
	for _, line := range strings.Split(s.Do("INFO", "commandstats"), "\r\n") {
		if _, calls, ok := strings.Cut(line, ":calls="); ok {
			calls, _, _ = strings.Cut(calls, ",")
			n, err := strconv.Atoi(calls)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}
