package interop_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

const patience = 20 * time.Second // after which a test has failed

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a center with a queue in memory behind a handler.
type server struct {
	url    string // without a query
	http   *http.Client
	queue  *memory.Queue
	opened chan *bachata.Session
	closed chan *bachata.Session
}

// drivers are the ways in which the server waits for a connection.
var drivers = map[string]func(h *bachata.Handler) *httptest.Server{
	"polled": func(h *bachata.Handler) *httptest.Server { return httptest.NewServer(h) },
	"portable": func(h *bachata.Handler) *httptest.Server {
		h.Portable = true
		return httptest.NewServer(h)
	},
	"wrapped": func(h *bachata.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.Listener = wrappingListener{s.Listener}
		s.Start()
		return s
	},
	"polled TLS": func(h *bachata.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.Listener = bachata.NewListener(s.Listener, nil)
		s.StartTLS()
		return s
	},
	"TLS": func(h *bachata.Handler) *httptest.Server { return httptest.NewTLSServer(h) },
}

// wrappingListener hides what its connections are.
type wrappingListener struct{ net.Listener }

// Accept returns a connection that is no *net.TCPConn.
func (l wrappingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ *net.TCPConn }{conn.(*net.TCPConn)}, nil
}

// modes are what the client offers of permessage-deflate. The server agrees in all of them but the first.
var modes = map[string]websocket.CompressionMode{
	"plain":            websocket.CompressionDisabled,
	"no context":       websocket.CompressionNoContextTakeover,
	"context takeover": websocket.CompressionContextTakeover,
}

// onEach runs test on each driver with each mode.
func onEach(t *testing.T, o *bachata.Options, test func(t *testing.T, s *server, mode websocket.CompressionMode)) {
	t.Helper()
	for driver := range drivers {
		for name, mode := range modes {
			t.Run(driver+"/"+name, func(t *testing.T) {
				t.Parallel()
				test(t, serve(t, driver, o), mode)
			})
		}
	}
}

// serve starts a server that ends with the test.
func serve(t *testing.T, driver string, o *bachata.Options) *server {
	t.Helper()
	s := &server{queue: memory.New(nil), opened: make(chan *bachata.Session, 1000), closed: make(chan *bachata.Session, 1000)}
	center := bachata.NewCenter(s.queue, o)
	if err := center.AddRoute(bachata.Direct()); err != nil {
		t.Fatal(err)
	}
	h := &bachata.Handler{
		Center: center,
		Authenticate: func(r *http.Request) (bachata.Identity, error) {
			return bachata.Identity{Channel: r.URL.Query().Get("channel")}, nil
		},
		OnOpen:      func(session *bachata.Session, _ *http.Request) { s.opened <- session },
		OnClose:     func(session *bachata.Session) { s.closed <- session },
		Compression: &bachata.Compression{Threshold: 64},
	}
	listening := drivers[driver](h)
	s.url, s.http = "ws"+strings.TrimPrefix(listening.URL, "http"), listening.Client()
	t.Cleanup(func() {
		if err := center.Close(); err != nil {
			t.Errorf("close center: %v", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			t.Errorf("shut handler down: %v", err)
		}
		listening.Close()
		if err := s.queue.Close(); err != nil {
			t.Errorf("close queue: %v", err)
		}
	})
	return s
}

// client is a connection of the other implementation.
type client struct {
	*websocket.Conn
	ctx context.Context
}

// dial connects to channel and takes the 1000.
func (s *server) dial(ctx context.Context, channel string, mode websocket.CompressionMode) (*client, error) {
	conn, response, err := websocket.Dial(ctx, s.url+"/?channel="+channel, &websocket.DialOptions{
		HTTPClient: s.http, CompressionMode: mode, CompressionThreshold: 64,
	})
	if err != nil {
		return nil, err
	}
	c := &client{conn, ctx}
	c.SetReadLimit(-1)
	agreed := strings.HasPrefix(response.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate;")
	if agreed != (mode != websocket.CompressionDisabled) {
		return c, fmt.Errorf("compression was agreed on: %v", agreed)
	}
	text, err := c.text()
	if err == nil && !strings.HasPrefix(text, `{"type":1000,`) {
		err = fmt.Errorf("first came %s, want a 1000", text)
	}
	return c, err
}

// dial does that for a test.
func dial(t *testing.T, s *server, channel string, mode websocket.CompressionMode) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	c, err := s.dial(ctx, channel, mode)
	if c != nil {
		t.Cleanup(func() { _ = c.CloseNow() })
	}
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	return c
}

// text returns the next message.
func (c *client) text() (string, error) {
	kind, payload, err := c.Read(c.ctx)
	if err == nil && kind != websocket.MessageText {
		err = fmt.Errorf("a message is %v, want text", kind)
	}
	return string(payload), err
}

// send writes one message.
func (c *client) send(text string) error {
	return c.Write(c.ctx, websocket.MessageText, []byte(text))
}

// expect reads the messages that begin so, in any order.
func (c *client) expect(prefixes ...string) error {
	for range prefixes {
		text, err := c.text()
		if err != nil {
			return err
		}
		found := false
		for i, p := range prefixes {
			if found = p != "" && strings.HasPrefix(text, p); found {
				prefixes[i] = ""
				break
			}
		}
		if !found {
			return fmt.Errorf("came %.200s, want %.200q", text, prefixes)
		}
	}
	return nil
}
