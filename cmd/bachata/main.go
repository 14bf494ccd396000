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
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	// A terminal that is closed ends what runs in it, unless that was started to outlive it (nohup).
	hangup := !signal.Ignored(syscall.SIGHUP)
	if hangup {
		ends = append(ends, syscall.SIGHUP)
	}
	signaled, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// From the first signal on, the next one ends the program at once: also the one that comes as soon as it begins to drain.
	context.AfterFunc(signaled, func() {
		stop()
		if hangup {
			signal.Ignore(syscall.SIGHUP) // of a closed terminal two may come, from the system and from the shell
		}
		cancel()
	})
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}
