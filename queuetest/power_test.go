package queuetest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
	"github.com/bachata-go/bachata/internal/vfs"
)

// lyingDisk says that it has synced and has not.
type lyingDisk struct{ *vfs.Mem }

type lyingFile struct{ vfs.File }

func (lyingFile) Sync() error { return nil }

func (d lyingDisk) Create(name string) (vfs.File, error) {
	f, err := d.Mem.Create(name)
	return lyingFile{f}, err
}

func (d lyingDisk) Open(name string) (vfs.File, error) {
	f, err := d.Mem.Open(name)
	return lyingFile{f}, err
}

// TestFindsLostPower lets the suite judge a durable queue on a disk that forgets what it said was safe.
func TestFindsLostPower(t *testing.T) {
	t.Parallel()
	backend := Backend{patience: 20 * time.Millisecond, New: func(_ testing.TB, o bachata.QueueOptions) *Store {
		mem := vfs.NewMem()
		rng := rand.New(rand.NewPCG(1, 1))
		return &Store{
			Open: func() (Queue, error) {
				return disk.Open("queue", &disk.Options{QueueOptions: o, SegmentBytes: 256 << 10, FS: lyingDisk{mem}})
			},
			Crash: func() { mem = mem.Crash(rng) },
		}
	}}
	for _, c := range durableClauses() {
		switch c.name {
		case "a crash/messages", "a crash/ids", "a crash/pops", "a crash/duplicate in flight":
			said := ""
			for range 10 { // sometimes what was not synced survives all the same
				said += judge(t, func(tb testing.TB) { c.check(tb, backend, bachata.Reliable) })
			}
			if said == "" {
				t.Errorf("the clause %q does not find that nothing was synced", c.name)
			}
		case "a restart/messages":
			if said := judge(t, func(tb testing.TB) { c.check(tb, backend, bachata.Reliable) }); said != "" {
				t.Errorf("the clause %q, without a crash, complains: %s", c.name, said)
			}
		}
	}
	if !modelFinds(t, backend) {
		t.Error("the model does not find that nothing was synced")
	}
}
