package bachata_test

import (
	"path/filepath"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
	"github.com/bachata-go/bachata/internal/wiretest"
	"github.com/bachata-go/bachata/memory"
)

// TestWire plays every transcript of testdata/wire over real connections. Package redis plays them too.
func TestWire(t *testing.T) {
	t.Parallel()
	wiretest.Run(t, filepath.Join("testdata", "wire"), map[string]wiretest.Open{
		"memory": func(_ *testing.T, o bachata.QueueOptions) (wiretest.Queue, error) { return memory.New(&o), nil },
		"disk": func(t *testing.T, o bachata.QueueOptions) (wiretest.Queue, error) {
			// Small segments: the log zeroes them ahead, and there are as many queues as transcripts.
			return disk.Open(t.TempDir(), &disk.Options{QueueOptions: o, SegmentBytes: 8 << 20})
		},
	})
}
