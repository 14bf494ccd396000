//go:build unix

package seglog_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

// benchRecord is about what a put of a message of 200 bytes writes.
const benchRecord = 300

// BenchmarkAppend is records that are safe, a second, for a number of goroutines that each append one and wait for it.
// floor/s is what one goroutine does that writes and syncs one record after another in a file of zeros in the same
// folder, x-floor how many times that the log does.
func BenchmarkAppend(b *testing.B) {
	dir := b.TempDir()
	floor := measureFloor(b, dir)
	for _, appenders := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("appenders=%d", appenders), func(b *testing.B) {
			benchmarkAppend(b, filepath.Join(dir, fmt.Sprint(appenders, b.N)), appenders, floor)
		})
	}
}

func benchmarkAppend(b *testing.B, dir string, appenders int, floor float64) {
	var syncs atomic.Int64
	l, err := seglog.Open(seglog.Options{Dir: dir, OnSync: func(seglog.Ticket) { syncs.Add(1) }},
		func(seglog.Pos, []byte) error { return nil })
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	defer l.Close()
	rec := make([]byte, benchRecord)
	b.ReportAllocs()
	runtime.GC()
	var next atomic.Int64
	var wg sync.WaitGroup
	cpu := cpuTime(b)
	b.ResetTimer()
	for range appenders {
		wg.Go(func() {
			for next.Add(1) <= int64(b.N) {
				pos, t, err := l.Append(rec, false)
				if err == nil {
					err = l.Wait(context.Background(), t)
				}
				if err != nil {
					b.Error(err)
					return
				}
				if first := l.Segments()[0]; pos.Segment > first.ID+2 && first.Sealed {
					_ = l.Release(first.ID) // another appender may have been faster
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "records/s")
	b.ReportMetric(floor, "floor/s")
	b.ReportMetric(rate/floor, "x-floor")
	b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(b.N)/float64(syncs.Load()), "records/sync")
}

func measureFloor(b *testing.B, dir string) float64 {
	f, err := vfs.OS{}.Create(filepath.Join(dir, "floor"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	const size = 4 << 20
	if _, err := f.WriteAt(make([]byte, size), 0); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	rec := make([]byte, benchRecord)
	n := 0
	start := time.Now()
	for time.Since(start) < time.Second {
		if _, err := f.WriteAt(rec, int64(n*benchRecord)%(size-benchRecord)); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		n++
	}
	return float64(n) / time.Since(start).Seconds()
}

// cpuTime is what this process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkOpen is the time to recover a log of a million records from the host's cache.
func BenchmarkOpen(b *testing.B) {
	o := seglog.Options{Dir: b.TempDir()}
	l, err := seglog.Open(o, func(seglog.Pos, []byte) error { return nil })
	if err != nil {
		b.Fatal(err)
	}
	var last seglog.Ticket
	for range 1_000_000 {
		if _, last, err = l.Append(make([]byte, benchRecord), false); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Wait(context.Background(), last); err != nil {
		b.Fatal(err)
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		n := 0
		l, err := seglog.Open(o, func(seglog.Pos, []byte) error { n++; return nil })
		if err != nil || n != 1_000_000 {
			b.Fatal(n, err)
		}
		b.StopTimer()
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkRead reads records that the host has in its cache.
func BenchmarkRead(b *testing.B) {
	l, err := seglog.Open(seglog.Options{Dir: b.TempDir()}, func(seglog.Pos, []byte) error { return nil })
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	pos := make([]seglog.Pos, 10_000)
	var last seglog.Ticket
	for i := range pos {
		if pos[i], last, err = l.Append(make([]byte, benchRecord), false); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Wait(context.Background(), last); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, benchRecord+8)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := l.Read(pos[i%len(pos)], benchRecord, buf); err != nil {
			b.Fatal(err)
		}
	}
}
