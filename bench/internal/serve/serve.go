//go:build linux

// Package serve holds the servers that are compared, except for peers, which are programs of their own.
package serve

import (
	"fmt"

	"github.com/bachata-go/bachata/bench/internal/proc"
)

// Run runs the server that c names, until the process ends.
func Run(c proc.Config) error {
	if _, err := proc.RaiseFiles(); err != nil {
		return err
	}
	switch c.Role {
	case "floor":
		return runFloor()
	case "http":
		return runHTTP()
	case "memory", "disk", "simple":
		return runBachata(c)
	default:
		return fmt.Errorf("unknown role %q", c.Role)
	}
}
