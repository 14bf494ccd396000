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
	flag.Parse()
	if f := flag.Lookup("queuetest.seeds"); f.Value.String() == f.DefValue {
		// Each seed is a store on a real server, four times: fewer than for a queue in memory.
		seeds := "40"
		if testing.Short() {
			seeds = "10"
		}
		if err := f.Value.Set(seeds); err != nil {
			panic(err)
		}
	}
	// The client of a cluster has goroutines that sleep out their second, and their five, when it is closed.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"))
}
