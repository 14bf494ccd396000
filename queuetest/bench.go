package queuetest

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
)

// Benchmark runs the benchmarks that all queues share, in reliable mode:
//
//	put/senders=1, 64, 1024	one message a call, 200 B of payload, ids of 36 B
//	cycle/senders=64	put, fetch, confirm, fetch the receipt, pop it
//	pairs/batch=1, 32	the same for 50 pairs as a center does it, so many messages a call
//
// It reports operations per second (op/s) and the CPU that the process spent on one, user and system together (cpu-µs/op).
// For a queue that writes into Store.Dir it also measures the floor there, in the same run: what one writer gets that
// writes one record and syncs it, into a file that already is full of zeros. x-floor is how many times that the puts
// reach. A line of log says how that stands to the project's targets (DESIGN.md).
func Benchmark(b *testing.B, backend Backend) {
	for _, senders := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint("put/senders=", senders), func(b *testing.B) { benchmarkPut(b, backend, senders) })
	}
	b.Run("cycle/senders=64", func(b *testing.B) { benchmarkCycle(b, backend) })
	for _, batch := range []int{1, 32} {
		b.Run(fmt.Sprint("pairs/batch=", batch), func(b *testing.B) { benchmarkPairs(b, backend, batch) })
	}
}

const (
	benchPayload  = 200     // bytes
	benchChannels = 1 << 10 // inboxes that the senders write to
	worthJudging  = 200 * time.Millisecond
)

func benchmarkPut(b *testing.B, backend Backend, senders int) {
	floor := &floor{}
	x := newBench(b, backend, floor.measure)
	used := x.spend(b, senders, func(worker, i int) error {
		return x.put(x.item(worker, i, benchChannel(i)))
	})
	floor.measure(b, x.store.Dir)
	floor.compare(b, used, senders)
}

func benchmarkCycle(b *testing.B, backend Backend) {
	const senders = 64
	x := newBench(b, backend, nothing)
	x.spend(b, senders, func(worker, i int) error {
		to := benchChannel(worker)
		m := x.item(worker, i, to)
		if err := x.put(m); err != nil {
			return err
		}
		if err := x.fetchAndPop(to); err != nil {
			return err
		}
		return x.fetchAndPop(m.Origin)
	})
}

// bench is an open queue with room for whatever a benchmark puts.
type bench struct {
	store *Store
	q     Queue
	ctx   context.Context
	text  []byte // of every message
}

// newBench opens a queue; before that, while nothing works on the disk, it calls first with Store.Dir.
func newBench(b *testing.B, backend Backend, first func(b *testing.B, dir string)) *bench {
	b.Helper()
	x := &bench{ctx: context.Background(), text: pattern(1, benchPayload)}
	x.store = backend.New(b, bachata.QueueOptions{InboxMessages: 1 << 30, InboxBytes: min(1<<40, math.MaxInt), Receipts: 1 << 30, Now: time.Now})
	first(b, x.store.Dir)
	x.open(b)
	b.Cleanup(func() {
		if x.q == nil {
			return
		}
		if err := x.q.Close(); err != nil {
			b.Errorf("close: %v", err)
		}
	})
	return x
}

func nothing(*testing.B, string) {}

func (x *bench) open(b *testing.B) {
	b.Helper()
	q, err := x.store.Open()
	if err != nil {
		b.Fatalf("open: %v", err)
	}
	x.q = q
}

// spend lets senders do b.N operations together and reports what they cost.
func (x *bench) spend(b *testing.B, senders int, do func(worker, i int) error) cost {
	b.Helper()
	b.ResetTimer()
	used, err := share(b.N, senders, do)
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	used.report(b)
	return used
}

// share has n operations done by a number of goroutines, which take turns, and returns what that cost.
func share(n, workers int, do func(worker, i int) error) (cost, error) {
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		first = make(chan error, 1)
	)
	start := startCost()
	for w := range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(w, i); err != nil {
					select {
					case first <- err:
					default:
					}
					return
				}
			}
		})
	}
	wg.Wait()
	used := start.end(n)
	select {
	case err := <-first:
		return used, err
	default:
		return used, nil
	}
}

// item is a message like a chat's: an id like a UUID, a channel of origin for each worker. It is made cheaply, as the
// benchmarks count the CPU of all that the process does.
func (x *bench) item(worker, i int, to string) bachata.Item {
	id := []byte("00000000-0000-4000-8000-000000000000")
	for n, at := uint(worker), 7; n > 0; n, at = n>>4, at-1 {
		id[at] = "0123456789abcdef"[n&15]
	}
	for n, at := uint(i), 35; n > 0; n, at = n>>4, at-1 {
		id[at] = "0123456789abcdef"[n&15]
	}
	origin := "from" + strconv.Itoa(worker)
	return bachata.Item{
		Channels: []string{to}, ID: bachata.StringID(string(id)), Origin: origin, From: origin, Dest: to, Payload: x.text,
	}
}

func benchChannel(i int) string { return "to" + strconv.Itoa(i%benchChannels) }

func (x *bench) put(m bachata.Item) error {
	res, err := x.q.Put(x.ctx, []bachata.Item{m})
	if err != nil {
		return err
	}
	if res[0][0] != bachata.Stored {
		return fmt.Errorf("put of %s was answered %v", m.ID, res[0][0])
	}
	return nil
}

// fetchAndPop reads the first envelope of an inbox and takes it off.
func (x *bench) fetchAndPop(channel string) error {
	envs, err := x.q.Fetch(x.ctx, channel, 0, bachata.Limit{Messages: 1})
	if err != nil {
		return err
	}
	if len(envs) != 1 {
		return fmt.Errorf("the inbox of %s is empty", channel)
	}
	return x.pop(channel, at(envs[0]))
}

func (x *bench) pop(channel string, key bachata.Key) error {
	popped, err := x.q.PopDelivered(x.ctx, channel, channel, []bachata.Key{key})
	if err != nil {
		return err
	}
	if !popped[0].Found {
		return fmt.Errorf("%+v is not in the inbox of %s", key, channel)
	}
	return nil
}
