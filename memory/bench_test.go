package memory_test

import (
	"testing"

	"github.com/bachata-go/bachata/queuetest"
)

func BenchmarkQueue(b *testing.B) { queuetest.Benchmark(b, backend()) }

func BenchmarkPending(b *testing.B) { queuetest.BenchmarkPending(b, backend()) }
