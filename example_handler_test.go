package bachata_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
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
