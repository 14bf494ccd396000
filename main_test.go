package bachata_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/bachata-go/bachata"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if target := os.Getenv(idleClientEnv); target != "" {
		os.Exit(idleClient(target))
	}
	goleak.VerifyTestMain(calm{m})
}

// calm runs the tests, and fails if sessions wrote to what they share.
type calm struct{ *testing.M }

func (c calm) Run() int {
	code := c.M.Run()
	if code == 0 && !bachata.Calm() {
		fmt.Println("FAIL: a session without traffic of its own wrote to what all such sessions share")
		return 1
	}
	return code
}
