package redis_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/queuetest"
	"github.com/bachata-go/bachata/redis"
)

// stores counts the stores of all tests: each has a prefix of its own on the servers that the tests share.
var stores atomic.Int64

func prefix() string { return fmt.Sprint("t", stores.Add(1), ".") }

// backend makes stores on one server, each behind a proxy of its own, or on a cluster; each has a prefix of its own.
func backend(name string, addresses ...string) queuetest.Backend {
	return queuetest.Backend{
		Name: name,
		New: func(t testing.TB, common bachata.QueueOptions) *queuetest.Store {
			o := redis.Options{QueueOptions: common, Addresses: addresses, Prefix: prefix()}
			open := func() (queuetest.Queue, error) { return redis.Open(context.Background(), o) }
			nothing := func() {} // of a node that has crashed nothing is left but what the server has
			if len(addresses) > 1 {
				return &queuetest.Store{Open: open, Crash: nothing}
			}
			proxy := redistest.NewProxy(t, addresses[0])
			o.Addresses = []string{proxy.Addr()}
			return &queuetest.Store{
				Open: func() (queuetest.Queue, error) {
					proxy.Heal()
					return open()
				},
				Crash: nothing,
				Fail:  proxy.Break,
			}
		},
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, backend("redis", redistest.Start(t).Addr()))
}

func TestConformanceCluster(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, backend("redis cluster", redistest.StartCluster(t, 3).Addrs()...))
}

// Behind Sentinel, and with a replica that has to have all that is accepted.
func TestConformanceSentinel(t *testing.T) {
	t.Parallel()
	addresses := redistest.StartSentinel(t).Addrs()
	queuetest.Run(t, queuetest.Backend{
		Name: "redis behind Sentinel",
		New: func(_ testing.TB, common bachata.QueueOptions) *queuetest.Store {
			o := redis.Options{QueueOptions: common, Addresses: addresses, Sentinel: redistest.MasterSet, Wait: 1, Prefix: prefix()}
			return &queuetest.Store{
				Open:  func() (queuetest.Queue, error) { return redis.Open(context.Background(), o) },
				Crash: func() {},
			}
		},
	})
}

func BenchmarkQueue(b *testing.B) {
	queuetest.Benchmark(b, backend("redis", redistest.Start(b).Addr()))
}
