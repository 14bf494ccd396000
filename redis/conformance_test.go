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

// backend makes stores on one server, each behind a proxy and with a prefix of its own.
func backend(name string, addresses func(t testing.TB) []string, change func(o *redis.Options)) queuetest.Backend {
	return queuetest.Backend{
		Name: name,
		New: func(t testing.TB, common bachata.QueueOptions) *queuetest.Store {
			o := redis.Options{QueueOptions: common, Addresses: addresses(t), Prefix: prefix()}
			if change != nil {
				change(&o)
			}
			return &queuetest.Store{
				Open:  func() (queuetest.Queue, error) { return redis.Open(context.Background(), o) },
				Crash: func() {}, // of a node nothing is left but what the server has
			}
		},
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := backend("redis", func(testing.TB) []string { return []string{server.Addr()} }, nil)
	queuetest.Run(t, b)
}

func TestConformanceCluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	queuetest.Run(t, backend("redis cluster", func(testing.TB) []string { return cluster.Addrs() }, nil))
}
