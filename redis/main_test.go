package redis_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(nodeEnv); address != "" {
		os.Exit(runNode(address))
	}
	// Each seed is a store on a real server, twice: fewer than for a queue in memory, unless the command line says more.
	if err := flag.Set("queuetest.seeds", "40"); err != nil {
		panic(err)
	}
	// The client of a cluster has goroutines that sleep out their second, and their five, when it is closed.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"))
}
