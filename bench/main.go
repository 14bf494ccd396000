//go:build linux

// Command bench compares Bachata with the floor, a server that moves the same bytes with system calls and does nothing
// else, and with a peer. README.md says how to read what it prints.
//
//	go run .                      all parts, in less than ten minutes
//	go run . cycle -rounds 5      one part, with flags of its own
package main

import (
	"os"

	"github.com/bachata-go/bachata/bench/internal/compare"
)

func main() {
	name, args := "", os.Args[1:]
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	os.Exit(compare.Main(name, args))
}
