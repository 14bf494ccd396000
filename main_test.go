package bachata_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if target := os.Getenv(idleClientEnv); target != "" {
		os.Exit(idleClient(target))
	}
	goleak.VerifyTestMain(m)
}
