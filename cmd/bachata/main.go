// Command bachata is a chat server with reliable delivery, and the tools for its disk queue.
//
// "bachata serve" runs the server with a chat page to try it; "bachata help" lists the rest.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signaled, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// From the first signal on, the next one ends the program at once: also the one that comes as soon as it begins to drain.
	context.AfterFunc(signaled, func() {
		stop()
		cancel()
	})
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}
