//go:build linux

package serve

import (
	"context"
	"net"
	"net/http"
	_ "net/http/pprof" // a profile may be taken while it runs

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/bench/internal/proc"
	"github.com/bachata-go/bachata/bench/internal/wire"
	"github.com/bachata-go/bachata/disk"
	"github.com/bachata-go/bachata/memory"
)

// runBachata serves the endpoint with open channels and the direct route, or a group of c.Members.
func runBachata(c proc.Config) error {
	queue, err := openQueue(c)
	if err != nil {
		return err
	}
	center := bachata.NewCenter(queue, nil)
	if err := center.AddRoute(routeOf(c)); err != nil {
		return err
	}
	h := &bachata.Handler{Center: center, Authenticate: func(r *http.Request) (bachata.Identity, error) {
		return bachata.Identity{Channel: r.URL.Query().Get("channel")}, nil
	}}
	http.Handle("/messages", h)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if c.TLS {
		return serveTLS(l)
	}
	proc.Ready(l.Addr().String(), nil)
	return http.Serve(l, nil)
}

func routeOf(c proc.Config) bachata.Route {
	if c.Members == 0 {
		return bachata.Direct()
	}
	members := make([]string, c.Members)
	for i := range members {
		members[i] = wire.Name('r', i)
	}
	return bachata.Group(func(context.Context, string, *bachata.Session) ([]string, error) { return members, nil })
}

func openQueue(c proc.Config) (bachata.Queue, error) {
	limits := bachata.QueueOptions{InboxMessages: 1 << 20}
	switch c.Role {
	case "disk":
		return disk.Open(c.Dir, &disk.Options{QueueOptions: limits})
	case "simple":
		limits.Simple = true
	}
	return memory.New(&limits), nil
}
