package main

import (
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" // a profile may be taken while it runs
	"os"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
	"github.com/bachata-go/bachata/memory"
)

// runBachata serves the endpoint with open channels and the direct route.
func runBachata(kind, dir string) error {
	var q bachata.Queue
	limits := bachata.QueueOptions{InboxMessages: 1 << 20}
	switch kind {
	case "memory":
		q = memory.New(&limits)
	case "simple":
		limits.Simple = true
		q = memory.New(&limits)
	case "disk":
		var err error
		if q, err = disk.Open(dir, &disk.Options{QueueOptions: limits}); err != nil {
			return err
		}
	}
	c := bachata.NewCenter(q, nil)
	if err := c.AddRoute(bachata.Direct()); err != nil {
		return err
	}
	h := &bachata.Handler{Center: c, Authenticate: func(r *http.Request) (bachata.Identity, error) {
		return bachata.Identity{Channel: r.URL.Query().Get("channel")}, nil
	}}
	http.Handle("/messages", h)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go endWithStdin()
	return http.Serve(l, nil)
}

// endWithStdin ends the process with its parent.
func endWithStdin() {
	one := make([]byte, 1)
	for {
		if n, err := os.Stdin.Read(one); n == 0 || err != nil {
			os.Exit(0)
		}
		fmt.Println("0 0")
	}
}
