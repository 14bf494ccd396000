package disk_test

import (
	"path/filepath"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
	"github.com/bachata-go/bachata/queuetest"
)

// onDisk is the queue as it is used: on the host's disk, with the default segments. Set TMPDIR to measure another disk.
func onDisk() queuetest.Backend {
	return queuetest.Backend{
		Name: "disk",
		New: func(t testing.TB, o bachata.QueueOptions) *queuetest.Store {
			dir := t.TempDir()
			return &queuetest.Store{
				Dir: dir,
				Open: func() (queuetest.Queue, error) {
					return disk.Open(filepath.Join(dir, "queue"), &disk.Options{QueueOptions: o})
				},
			}
		},
	}
}

func BenchmarkQueue(b *testing.B) { queuetest.Benchmark(b, onDisk()) }

func BenchmarkPending(b *testing.B) { queuetest.BenchmarkPending(b, onDisk()) }
