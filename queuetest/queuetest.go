// Package queuetest holds every queue to the contract of bachata.Queue: a conformance suite with one case for each
// clause, a model test that compares random operations with a plain model, and the benchmarks that all queues share.
//
// A queue of a third party runs all of it from its own tests:
//
//	func TestConformance(t *testing.T) { queuetest.Run(t, backend) }
//	func BenchmarkQueue(b *testing.B)  { queuetest.Benchmark(b, backend) }
//
// What a queue states by Info (mode, durability, atomicity) chooses the cases that it is held to. What a backend cannot
// do for a test (turn its clock, crash, fail) it leaves out of its Store, and the cases that need it are not run.
package queuetest

import (
	"io"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
)

// Queue is a queue that its opener closes.
type Queue interface {
	bachata.Queue
	// Close releases what the queue holds; afterwards every method returns bachata.ErrQueueClosed. Calling it again
	// does nothing and returns nil.
	io.Closer
}

// Backend says how to get the queues that the suite tests.
type Backend struct {
	// Name of the backend, for the benchmarks' output.
	Name string
	// New makes a fresh, empty store for one test, whose queue has the options o. Now in them is the suite's clock, which
	// stands still until a test turns it (in a benchmark it is time.Now). What the store needs cleaned up, New registers
	// with t.Cleanup. It is called concurrently by parallel tests unless Serial is set.
	New func(t testing.TB, o bachata.QueueOptions) *Store
	// Modes are the modes that the backend has; none means both.
	Modes []bachata.Mode
	// NoClock is set if the time of the queue cannot be turned forward.
	NoClock bool
	// Serial keeps the cases from running in parallel.
	Serial bool

	patience time.Duration // default longPatience
}

// Store is where the queue of one test keeps what it stores. Only Open is required.
type Store struct {
	// Open opens the queue. If Info().Durable, it is called again after Close, and must then find what was there.
	Open func() (Queue, error)
	// Crash makes the store what an end of the process without Close leaves behind (and, if the queue promises to survive
	// it, a loss of power). It may be called while calls are in flight, returns when the state is taken, and the next Open
	// sees that state. The queue that was open is closed after it, its errors are ignored.
	Crash func()
	// Fail makes every attempt to store something fail from now on, until the store is given up.
	Fail func()
	// Advance turns the queue's clock forward. Default: the clock that New was given is turned.
	Advance func(d time.Duration)
	// Dir is a folder on the disk that the queue writes to, if it writes to one. The benchmarks measure in it what the
	// disk allows, with files of their own, and compare.
	Dir string
	// Now reads the clock that the queue stamps receipts with. Default: the clock that New was given.
	Now func() time.Time
}

// Run holds the backend's queues to the contract: every clause in every mode that the backend has, then the model; and, if
// they are Batchers, all of it once more by way of batches.
func Run(t *testing.T, b Backend) {
	b.run(t)
	if b, ok := b.batches(t); ok {
		t.Run("batched", func(t *testing.T) {
			b.parallel(t)
			b.run(t)
		})
	}
}

func (b Backend) run(t *testing.T) {
	for _, mode := range b.modes() {
		t.Run(mode.String(), func(t *testing.T) {
			b.parallel(t)
			for _, c := range clauses() {
				if c.mode == bothModes || c.mode == only(mode) {
					t.Run(c.name, func(t *testing.T) {
						b.parallel(t)
						c.check(t, b, mode)
					})
				}
			}
			t.Run("model", func(t *testing.T) {
				b.parallel(t)
				runModel(t, b, mode)
			})
		})
	}
}

func (b Backend) modes() []bachata.Mode {
	if len(b.Modes) == 0 {
		return []bachata.Mode{bachata.Reliable, bachata.Simple}
	}
	return b.Modes
}

func (b Backend) parallel(t *testing.T) {
	if !b.Serial {
		t.Parallel()
	}
}
