package redis_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(nodeEnv); address != "" {
		os.Exit(runNode(address))
	}
	goleak.VerifyTestMain(m)
}
