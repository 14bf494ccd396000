package redis_test

import (
	"path/filepath"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/internal/wiretest"
	"github.com/bachata-go/bachata/redis"
)

// TestWire plays every transcript of testdata/wire over real connections, on one server and on a cluster.
func TestWire(t *testing.T) {
	t.Parallel()
	on := func(addresses ...string) wiretest.Open {
		return func(t *testing.T, o bachata.QueueOptions) (wiretest.Queue, error) {
			return redis.Open(t.Context(), redis.Options{QueueOptions: o, Addresses: addresses, Prefix: prefix()})
		}
	}
	wiretest.Run(t, filepath.Join("..", "testdata", "wire"), map[string]wiretest.Open{
		"redis":   on(redistest.Start(t).Addr()),
		"cluster": on(redistest.StartCluster(t, 3).Addrs()...),
	})
}
