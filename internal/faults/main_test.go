//go:build linux

package faults_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/bachata-go/bachata/internal/faults/proc"
)

var (
	rounds    = flag.Int("rounds", 0, "how many rounds of kills, or of losses of power, each test has (default: as many as are quick)")
	seed      = flag.Uint64("seed", uint64(time.Now().UnixNano()), "what all choices come from")
	portable  = flag.Bool("portable", false, "have all servers use the portable driver of connections")
	histories = flag.String("histories", "", "the folder to keep the histories in (default: they are not kept)")
)

// program is the server's path, built once for all tests; under the race detector if they are.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

// roundsOr returns how many rounds were asked for, and usual if that was left open.
func roundsOr(usual int) int {
	if *rounds > 0 {
		return *rounds
	}
	return usual
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bachata-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if program, err = proc.Build(ctx, dir, buildFlags...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Printf("seed %d\n", *seed)
	return m.Run()
}
