package redis_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/redis"
)

// openQueue opens a queue that is closed with the test.
func openQueue(t testing.TB, o redis.Options) *redis.Queue {
	t.Helper()
	q, err := redis.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// used returns the processor time that servers have used so far, in microseconds.
func used(t testing.TB, servers ...*redistest.Server) float64 {
	t.Helper()
	sum := 0.0
	for _, s := range servers {
		for _, line := range strings.Split(s.Do("INFO", "cpu"), "\r\n") {
			name, value, _ := strings.Cut(line, ":")
			if name == "used_cpu_user" || name == "used_cpu_sys" {
				v, err := strconv.ParseFloat(value, 64)
				if err != nil {
					t.Fatal(err)
				}
				sum += v * 1e6
			}
		}
	}
	return sum
}

// text200 is the payload of the benchmarks.
var text200 = []byte(`{"id":"m","type":"direct","data":"` + strings.Repeat("x", 164) + `"}`)

// pair is a sender and a receiver, whose inbox is channel.
type pair struct {
	q               *redis.Queue
	channel, origin string
	last            bachata.Cursor
	woken           chan bachata.Cursor // of a receiver who is connected: what wake-ups bring, 0 if it has to be fetched
}

// put puts a batch into the channel.
func (p *pair) put(ctx context.Context, id, batch int) error {
	items := make([]bachata.Item, batch)
	for i := range items {
		items[i] = bachata.Item{
			Channels: []string{p.channel}, ID: bachata.StringID(strconv.Itoa(id + i)), Origin: p.origin, From: p.origin, Dest: p.channel, Payload: text200,
		}
	}
	_, err := p.q.Put(ctx, items)
	return err
}

// fetch fetches a batch from where the channel was read last, as a session does.
func (p *pair) fetch(ctx context.Context, batch int) ([]bachata.Key, error) {
	envs, err := p.q.Fetch(ctx, p.channel, p.last, bachata.Limit{Messages: batch})
	if err != nil || len(envs) != batch {
		return nil, fmt.Errorf("fetched %d of %d: %w", len(envs), batch, err)
	}
	keys := make([]bachata.Key, batch)
	for i, e := range envs {
		keys[i].Cursor = e.Cursor
		p.last = e.Cursor
	}
	return keys, nil
}

// cycle puts a batch, has it handed out and pops it, so that each message makes a receipt.
func (p *pair) cycle(ctx context.Context, id, batch int) error {
	if err := p.put(ctx, id, batch); err != nil {
		return err
	}
	var keys []bachata.Key
	if p.woken != nil {
		cursor := <-p.woken
		for cursor != 0 && cursor <= p.last { // late
			cursor = <-p.woken
		}
		if cursor != 0 {
			p.last, keys = cursor, []bachata.Key{{Cursor: cursor}}
		}
	}
	if keys == nil {
		var err error
		if keys, err = p.fetch(ctx, batch); err != nil {
			return err
		}
	}
	popped, err := p.q.PopDelivered(ctx, p.channel, p.channel, keys)
	if err == nil && !popped[0].Found {
		err = fmt.Errorf("nothing to pop at %d", keys[0].Cursor)
	}
	return err
}

// connect has the receiver woken from now on.
func (p *pair) connect(b *testing.B) {
	p.woken = make(chan bachata.Cursor, 16)
	stop, err := p.q.Watch(p.channel, func(w bachata.Wake) {
		cursor := bachata.Cursor(0)
		if len(w.Envelopes) == 1 {
			cursor = w.Envelopes[0].Cursor
		}
		select {
		case p.woken <- cursor:
		default: // it knows already
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(stop)
}

// BenchmarkCycle reports what a message costs from put to receipt, and beside it what a plain SET costs the same server:
// the processor time of the server, in microseconds. Woken is what it costs while the receiver is connected: what was put
// came to its node with the wake-up. Else it is fetched.
func BenchmarkCycle(b *testing.B) {
	for _, kind := range []string{"single", "cluster"} {
		for _, c := range []struct {
			name  string
			batch int
		}{{"batch=1", 1}, {"batch=32", 32}, {"woken", 1}} {
			b.Run(kind+"/"+c.name, func(b *testing.B) {
				servers := []*redistest.Server{redistest.Start(b)}
				if kind == "cluster" {
					servers = redistest.StartCluster(b, 3).Nodes
				}
				q := openQueue(b, redis.Options{Addresses: []string{servers[0].Addr()}})
				pairs := make([]*pair, 64)
				for i := range pairs {
					pairs[i] = &pair{q: q, channel: fmt.Sprint("c", i), origin: fmt.Sprint("o", i)}
					if c.name == "woken" {
						pairs[i].connect(b)
						if err := pairs[i].cycle(context.Background(), -1, 1); err != nil { // subscribed, when it is over
							b.Fatal(err)
						}
					}
				}
				benchmarkCycle(b, pairs, servers, c.batch)
			})
		}
	}
}

// benchmarkCycle has all pairs go through cycles at once.
func benchmarkCycle(b *testing.B, pairs []*pair, servers []*redistest.Server, batch int) {
	ctx := context.Background()
	var next atomic.Int64
	var wg sync.WaitGroup
	before := used(b, servers...)
	b.ResetTimer()
	for _, p := range pairs {
		wg.Go(func() {
			for {
				n := int(next.Add(int64(batch)))
				if n > b.N {
					return
				}
				if err := p.cycle(ctx, n, batch); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric((used(b, servers...)-before)/float64(b.N), "redis-µs/op")
}

// BenchmarkGroupConfirmed reports what it costs that every member of a group confirms one message, each in a call of its own:
// the processor time of the server for each, in microseconds.
func BenchmarkGroupConfirmed(b *testing.B) {
	for _, n := range []int{30, 100, 1000, 9000} {
		b.Run(fmt.Sprint("members=", n), func(b *testing.B) {
			s := redistest.Start(b)
			q := openQueue(b, redis.Options{Addresses: []string{s.Addr()}})
			members := make([]string, n)
			for i := range members {
				members[i] = fmt.Sprint("m", i)
			}
			ctx := context.Background()
			sum := 0.0
			for i := range b.N {
				if _, err := q.Put(ctx, []bachata.Item{inGroup(strconv.Itoa(i), members)}); err != nil {
					b.Fatal(err)
				}
				keys := make([][]bachata.Key, n)
				for j, m := range members {
					envs, err := q.Fetch(ctx, m, 0, bachata.Limit{})
					if err != nil || len(envs) != 1 {
						b.Fatalf("fetched %d: %v", len(envs), err)
					}
					keys[j] = []bachata.Key{{Cursor: envs[0].Cursor}}
				}
				before := used(b, s)
				for j, m := range members {
					if _, err := q.PopDelivered(ctx, m, m, keys[j]); err != nil {
						b.Fatal(err)
					}
				}
				sum += used(b, s) - before
			}
			b.ReportMetric(sum/float64(b.N*n), "redis-µs/confirmation")
		})
	}
}
