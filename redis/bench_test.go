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

// cycle puts a batch into a channel, fetches it from where it was read last, as a session does, and pops it, so that each
// message makes a receipt.
func cycle(ctx context.Context, q *redis.Queue, channel, origin string, last *bachata.Cursor, id, batch int) error {
	items := make([]bachata.Item, batch)
	for i := range items {
		items[i] = bachata.Item{
			Channels: []string{channel}, ID: bachata.StringID(strconv.Itoa(id + i)), Origin: origin, From: origin, Dest: channel, Payload: text200,
		}
	}
	if _, err := q.Put(ctx, items); err != nil {
		return err
	}
	envs, err := q.Fetch(ctx, channel, *last, bachata.Limit{Messages: batch})
	if err != nil || len(envs) != batch {
		return fmt.Errorf("fetched %d of %d: %w", len(envs), batch, err)
	}
	keys := make([]bachata.Key, batch)
	for i, e := range envs {
		keys[i].Cursor = e.Cursor
		*last = e.Cursor
	}
	_, err = q.PopDelivered(ctx, channel, channel, keys)
	return err
}

// BenchmarkCycle reports what a message costs from put to receipt, and beside it what a plain SET costs the same server:
// the processor time of the server, in microseconds.
func BenchmarkCycle(b *testing.B) {
	for _, kind := range []string{"single", "cluster"} {
		for _, batch := range []int{1, 32} {
			b.Run(fmt.Sprint(kind, "/batch=", batch), func(b *testing.B) {
				servers := []*redistest.Server{redistest.Start(b)}
				if kind == "cluster" {
					servers = redistest.StartCluster(b, 3).Nodes
				}
				q := openQueue(b, redis.Options{Addresses: []string{servers[0].Addr()}})
				benchmarkCycle(b, q, servers, batch)
			})
		}
	}
}

func benchmarkCycle(b *testing.B, q *redis.Queue, servers []*redistest.Server, batch int) {
	const callers = 64
	ctx := context.Background()
	var next atomic.Int64
	var wg sync.WaitGroup
	before := used(b, servers...)
	b.ResetTimer()
	for g := range callers {
		wg.Go(func() {
			var last bachata.Cursor
			for {
				n := int(next.Add(int64(batch)))
				if n > b.N {
					return
				}
				if err := cycle(ctx, q, fmt.Sprint("c", g), fmt.Sprint("o", g), &last, n, batch); err != nil {
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
