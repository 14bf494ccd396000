package queuetest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
	"github.com/bachata-go/bachata/queuetest"
)

// A package that has a queue says how to open one, and runs the suite from a test and a benchmark of its own. Here the
// queue is that of package memory; one that keeps what it stores opens the same store again when Open is called again.
func Example() {
	backend := queuetest.Backend{
		Name: "memory",
		New: func(_ testing.TB, o bachata.QueueOptions) *queuetest.Store {
			return &queuetest.Store{
				Open: func() (queuetest.Queue, error) { return memory.New(&o), nil },
			}
		},
	}
	_ = func(t *testing.T) { queuetest.Run(t, backend) }       // the body of TestConformance
	_ = func(b *testing.B) { queuetest.Benchmark(b, backend) } // the body of BenchmarkQueue

	q, err := backend.New(nil, bachata.QueueOptions{Now: time.Now}).Open()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer q.Close()
	fmt.Println(q.Info().Name, "is", q.Info().Mode)
	// Output: memory is reliable
}
