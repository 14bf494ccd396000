package queuetest

import (
	"testing"
	"time"
)

// cost is what a number of operations cost.
type cost struct {
	n       int
	elapsed time.Duration
	cpu     time.Duration // of the process, user and system; zero where the system does not say
}

// costStart is the beginning of a cost.
type costStart struct {
	at  time.Time
	cpu time.Duration
}

func startCost() costStart { return costStart{time.Now(), cpuTime()} }

func (s costStart) end(n int) cost {
	return cost{n: n, elapsed: time.Since(s.at), cpu: cpuTime() - s.cpu}
}

// perSecond is how many operations a second there were.
func (c cost) perSecond() float64 { return float64(c.n) / c.elapsed.Seconds() }

// micros is the CPU of one operation in microseconds.
func (c cost) micros() float64 { return float64(c.cpu.Nanoseconds()) / 1e3 / float64(c.n) }

func (c cost) report(b *testing.B) {
	b.ReportMetric(c.perSecond(), "op/s")
	if c.cpu > 0 {
		b.ReportMetric(c.micros(), "cpu-µs/op")
	}
}
