package queuetest

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/bachata-go/bachata/internal/vfs"
)

// The targets of DESIGN.md for durable puts.
const (
	slowFloor   = 15_000 // syncs a second, below which the disk decides and the ratio counts
	targetAt64  = 10     // times the floor
	targetAt1k  = 30
	targetCPU   = 8.0 // µs a put at 64 senders, where the disk is not what decides
	floorRecord = 300 // bytes: a record of the benchmarks' messages
	floorBytes  = 8 << 20
	floorTime   = 250 * time.Millisecond
)

// floor is what a folder's file system allows: records that one writer writes, each synced, into a file that is full
// of zeros.
type floor struct {
	n    int
	time time.Duration
}

// measure adds a measurement; one before and one after what it is compared with even out what others do to the disk.
// Without a dir there is nothing to measure.
func (f *floor) measure(b *testing.B, dir string) {
	b.Helper()
	if dir == "" {
		return
	}
	name := filepath.Join(dir, "floor")
	defer func() { _ = vfs.OS{}.Remove(name) }() // the folder is the benchmark's, and goes with it
	if err := f.write(name); err != nil {
		b.Fatalf("measure the floor: %v", err)
	}
}

func (f *floor) write(name string) (err error) {
	file, err := vfs.OS{}.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if e := file.Close(); err == nil {
			err = e
		}
	}()
	if _, err := file.WriteAt(make([]byte, floorBytes), 0); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	record := pattern(1, floorRecord)
	start := time.Now()
	for at := int64(0); at+floorRecord <= floorBytes && time.Since(start) < floorTime; at += floorRecord {
		if _, err := file.WriteAt(record, at); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
		f.n++
	}
	f.time += time.Since(start)
	return nil
}

// compare reports the ratio to the floor and says whether the target is met.
func (f *floor) compare(b *testing.B, used cost, senders int) {
	b.Helper()
	if f.n == 0 {
		return
	}
	perSecond := float64(f.n) / f.time.Seconds()
	ratio := used.perSecond() / perSecond
	b.ReportMetric(perSecond, "floor/s")
	b.ReportMetric(ratio, "x-floor")
	target, judged := map[int]float64{64: targetAt64, 1024: targetAt1k}[senders]
	switch {
	case !judged || used.elapsed < worthJudging:
	case perSecond < slowFloor:
		b.Logf("the floor is %.0f/s, less than %d/s: the ratio counts; %.1f times the floor, target %.0f: %s",
			perSecond, slowFloor, ratio, target, verdict(ratio >= target))
	case senders == 64:
		b.Logf("the floor is %.0f/s, not less than %d/s: the CPU counts; %.1f µs a put, target %.0f µs: %s",
			perSecond, slowFloor, used.micros(), targetCPU, verdict(used.micros() <= targetCPU))
	default:
		b.Logf("the floor is %.0f/s, not less than %d/s: the CPU counts, at 64 senders", perSecond, slowFloor)
	}
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "NOT MET"
}
