package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // the command line or a variable is wrong
)

// run carries out one command line, until it is done or ctx ends, and returns the exit code.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	switch args[0] {
	case "serve":
		return runServe(ctx, args[1:], environ, stdout, stderr)
	case "disk":
		return runDisk(args[1:], stdout, stderr)
	case "version", "--version", "-version":
		fmt.Fprintln(stdout, "bachata", version())
		return exitOK
	case "help", "--help", "-help", "-h":
		return runHelp(args[1:], stdout, stderr)
	}
	fmt.Fprintf(stderr, "bachata: unknown command %q\n\n%s", args[0], usage)
	return exitUsage
}

func runHelp(args []string, stdout, stderr io.Writer) int {
	switch {
	case len(args) == 0:
		fmt.Fprint(stdout, usage)
	case args[0] == "serve":
		writeServeHelp(stdout)
	case args[0] == "disk":
		fmt.Fprint(stdout, diskUsage)
	default:
		fmt.Fprintf(stderr, "bachata: no help on %q\n\n%s", args[0], usage)
		return exitUsage
	}
	return exitOK
}

func runServe(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, environ)
	if errors.Is(err, errHelp) {
		writeServeHelp(stdout)
		return exitOK
	}
	if err == nil {
		err = serve(ctx, &o, stdout, stderr)
	}
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "bachata: %v\n", err)
	var option *optionError
	var mistake *usageError
	if errors.As(err, &option) || errors.As(err, &mistake) {
		fmt.Fprintln(stderr, `Run "bachata serve --help" for all options.`)
		return exitUsage
	}
	return exitFailed
}
