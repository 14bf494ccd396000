//go:build linux

// Command cycle is the part "cycle" of the comparison alone.
package main

import (
	"os"

	"github.com/bachata-go/bachata/bench/internal/compare"
)

func main() { os.Exit(compare.Main("cycle", os.Args[1:])) }
