package disk_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
	"github.com/bachata-go/bachata/internal/vfs"
	"github.com/bachata-go/bachata/queuetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, queuetest.Backend{Name: "disk", New: newStore})
}

// newStore makes a store in memory, whose power fails when the suite says so. Small segments have the reclaimer
// work all the time.
func newStore(t testing.TB, o bachata.QueueOptions) *queuetest.Store {
	var (
		mu   sync.Mutex
		mem  = vfs.NewMem()
		fail atomic.Bool
		rng  = rand.New(rand.NewPCG(1, 2))
	)
	hook := func(op vfs.Op) error {
		if fail.Load() {
			return syscall.EIO
		}
		return nil
	}
	mem.OnOp(hook)
	segment := int64(256 << 10)
	if strings.Contains(t.Name(), "/payload/") {
		segment = 8 << 20 // a message must fit into a segment
	}
	return &queuetest.Store{
		Open: func() (queuetest.Queue, error) {
			mu.Lock()
			defer mu.Unlock()
			return disk.Open("queue", &disk.Options{QueueOptions: o, SegmentBytes: segment, FS: mem})
		},
		Crash: func() {
			mu.Lock()
			defer mu.Unlock()
			mem = mem.Crash(rng)
			mem.OnOp(hook)
			fail.Store(false) // another disk
		},
		Fail: func() { fail.Store(true) },
	}
}
