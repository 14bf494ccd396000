package queuetest

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
)

// The targets of DESIGN.md for a queue in which a million messages are pending.
const (
	pendingMessages = 1_000_000
	pendingInboxes  = 10_000
	pendingBatch    = 1000 // messages a call, to get there
	pendingRounds   = 5
	pendingOps      = 20_000 // put+pop in one round
	targetRatio     = 1.3
	targetReopen    = 2 * time.Second
	targetHeap      = 150.0 // MB
)

// BenchmarkPending measures a queue in which a million messages of 200 B are pending, in 10,000 inboxes: what put+pop
// costs there, compared with the same in an empty queue (x-empty: CPU, medians of 5 rounds, interleaved); and, if the
// queue is durable, how long it takes to open it again (reopen-ms) and what it then holds in memory after a garbage
// collection (heap-MB). It takes about half a minute and some hundred MB of disk; one round of it is enough.
func BenchmarkPending(b *testing.B, backend Backend) {
	for range b.N {
		empty, full := newBench(b, backend, nothing), newBench(b, backend, nothing)
		full.fill(b)
		comparePending(b, empty, full)
		if full.q.Info().Durable {
			full.reopen(b)
		}
	}
	b.ReportMetric(0, "ns/op") // says nothing here
}

// fill puts the messages that stay.
func (x *bench) fill(b *testing.B) {
	b.Helper()
	_, err := share(pendingMessages/pendingBatch, 8, func(_, i int) error {
		batch := make([]bachata.Item, pendingBatch)
		for j := range batch {
			n := i*pendingBatch + j
			batch[j] = x.item(1<<20, n, pendingInbox(n))
		}
		res, err := x.q.Put(x.ctx, batch)
		if err == nil && slices.ContainsFunc(res, func(r bachata.PutResult) bool { return r[0] != bachata.Stored }) {
			err = fmt.Errorf("batch %d was not stored", i)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

func pendingInbox(n int) string { return "pending" + strconv.Itoa(n%pendingInboxes) }

// comparePending lets the two queues take turns, so that what else the machine does meets both.
func comparePending(b *testing.B, empty, full *bench) {
	b.Helper()
	var costs [2][]float64
	for round := range pendingRounds + 1 {
		for i, x := range []*bench{empty, full} {
			runtime.GC() // neither pays for the other's garbage
			used, err := share(pendingOps, 64, func(worker, n int) error {
				to := pendingInbox(worker + 64*(n%100))
				m := x.item(worker, round*pendingOps+n, to)
				if err := x.put(m); err != nil {
					return err
				}
				return x.pop(to, byID(m.ID.Text))
			})
			if err != nil {
				b.Fatal(err)
			}
			if round > 0 { // the first is for warming up
				costs[i] = append(costs[i], used.micros())
			}
		}
	}
	small, large := median(costs[0]), median(costs[1])
	b.ReportMetric(small, "empty-cpu-µs")
	b.ReportMetric(large, "pending-cpu-µs")
	b.ReportMetric(large/small, "x-empty")
	b.Logf("put+pop with %d pending: %.2f µs of CPU, %.2f µs in an empty queue: %.2f times, target %.1f: %s",
		pendingMessages, large, small, large/small, targetRatio, verdict(large/small <= targetRatio))
}

// reopen closes the queue and measures how it is opened again.
func (x *bench) reopen(b *testing.B) {
	b.Helper()
	if err := x.q.Close(); err != nil {
		b.Fatal(err)
	}
	x.q = nil
	before := heap()
	start := time.Now()
	x.open(b)
	took := time.Since(start)
	held := (heap() - before) / 1e6
	b.ReportMetric(float64(took.Milliseconds()), "reopen-ms")
	b.ReportMetric(held, "heap-MB")
	b.Logf("%d pending: opened in %v, target %v: %s; holds %.0f MB, target %.0f MB: %s", pendingMessages,
		took.Round(time.Millisecond), targetReopen, verdict(took <= targetReopen), held, targetHeap, verdict(held <= targetHeap))
}

// heap returns the bytes that are live.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what the first one found to finalize
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
