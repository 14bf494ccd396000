package bachata_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

// The handler in a mux of one's own, behind a middleware, with an authentication of one's own.
func ExampleHandler() {
	users := map[string]string{"t0k3n-a": "anna", "t0k3n-b": "bob"}
	banned := map[string]bool{"bob": true}

	queue := memory.New(nil)
	defer queue.Close()
	center := bachata.NewCenter(queue, nil)
	defer center.Close()
	handler := &bachata.Handler{
		Center: center,
		Authenticate: func(r *http.Request) (bachata.Identity, error) {
			user, ok := users[r.URL.Query().Get("ticket")]
			switch {
			case !ok:
				return bachata.Identity{}, errors.New("unknown ticket")
			case banned[user]:
				return bachata.Identity{}, bachata.ErrNotAllowed
			}
			// An inbox for each user in each room; others see the user's name.
			return bachata.Identity{User: user, Channel: r.PathValue("room") + "/" + user, From: user}, nil
		},
		OnMessage: func(s *bachata.Session, m *bachata.Message) error {
			if m.Type() == "admin" && s.Identity().User != "root" {
				return &bachata.Refusal{Code: bachata.RefusedNotAllowed, Reason: "for administrators only"}
			}
			return nil
		},
	}
	mux := http.NewServeMux()
	mux.Handle("/chat/{room}", counted(handler))
	server := httptest.NewServer(mux)
	defer server.Close()

	printFirst(server, "/chat/kitchen?ticket=t0k3n-a")
	printFirst(server, "/chat/kitchen?ticket=t0k3n-b")
	printFirst(server, "/chat/kitchen?ticket=guessed")

	// Output:
	// request 1
	// {"type":1000,"dedupe":3600000,"max":65536,"from":"anna"}
	// request 2
	// ws closed: 4403 not allowed
	// request 3
	// ws closed: 4401 not authenticated
}

// How a server ends: its clients confirm what they were sent, then connections go, then requests, then the queue.
func ExampleHandler_Shutdown() {
	queue := memory.New(nil)
	center := bachata.NewCenter(queue, nil)
	handler := &bachata.Handler{
		Center: center,
		Authenticate: func(r *http.Request) (bachata.Identity, error) {
			return bachata.Identity{Channel: r.URL.Query().Get("channel")}, nil
		},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      20 * time.Second,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()

	// On SIGTERM, for which signal.NotifyContext waits:
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(center.Shutdown(ctx), handler.Shutdown(ctx), server.Shutdown(ctx), queue.Close())
	fmt.Println(<-ended)

	// Output:
	// <nil> <nil> <nil> <nil>
	// http: Server closed
}

// A server for many connections, and for people whose line is slow. With ServeTLS, or StartTLS here, connections of the
// listener cost little more while they are idle than without TLS.
func ExampleNewListener() {
	queue := memory.New(nil)
	defer queue.Close()
	center := bachata.NewCenter(queue, nil)
	defer center.Close()
	handler := &bachata.Handler{
		Center: center,
		Authenticate: func(r *http.Request) (bachata.Identity, error) {
			return bachata.Identity{Channel: r.URL.Query().Get("channel")}, nil
		},
		Compression: new(bachata.Compression), // for clients that offer it
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ReadHeaderTimeout = 10 * time.Second
	server.Config.ReadTimeout = 20 * time.Second
	server.Config.WriteTimeout = 20 * time.Second
	server.Config.MaxHeaderBytes = 16 << 10
	server.Listener = bachata.NewListener(server.Listener, slog.Default())
	server.Start()
	defer server.Close()

	printFirst(server, "/?channel=anna")
	// Output:
	// {"type":1000,"dedupe":3600000,"max":65536,"from":"anna"}
}

// counted is some middleware.
func counted(next http.Handler) http.Handler {
	var requests atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("request", requests.Add(1))
		next.ServeHTTP(w, r)
	})
}

type readWriter struct {
	io.Reader
	io.Writer
}
