//go:build linux

package compare

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/bachata-go/bachata/bench/internal/load"
	"github.com/bachata-go/bachata/bench/internal/proc"
	"github.com/bachata-go/bachata/bench/internal/serve"
)

// part is one comparison.
type part struct {
	name string
	run  func(args []string) error
}

var parts = []part{
	{"cycle", Cycle},
	{"latency", Latency},
	{"fanout", Fanout},
	{"connect", Connect},
	{"idle", Idle},
}

// Main runs the part of that name, or all of them if it is empty, and returns the status to exit with. In a child of a
// comparison, it runs the server or the clients.
func Main(name string, args []string) int {
	err := run(name, args)
	if errors.Is(err, flag.ErrHelp) {
		return 2
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

func run(name string, args []string) error {
	if c, ok, err := proc.Child(); ok || err != nil {
		switch {
		case err != nil:
			return err
		case c.Role == "listen":
			return load.Listen(c)
		default:
			return serve.Run(c)
		}
	}
	found := false
	for _, p := range parts {
		if name != "" && name != p.name {
			continue
		}
		found = true
		if err := p.run(args); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if !found {
		var names []string
		for _, p := range parts {
			names = append(names, p.name)
		}
		return fmt.Errorf("there is no part %q; there are %s, each with -help", name, strings.Join(names, ", "))
	}
	return nil
}
