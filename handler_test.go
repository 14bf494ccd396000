package bachata_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/bachata-go/bachata"
)

const handshake = "GET /?channel=anna HTTP/1.1\r\nHost: chat.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// rawRequest sends request and returns the answer, with the connection behind it.
func rawRequest(t *testing.T, url, request string) (*http.Response, *client) {
	t.Helper()
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "ws://"), "/")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, conn, bufio.NewReader(conn))
	c.write([]byte(request))
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return response, c
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	url := serve(t, nil, nil)
	replace := func(old, with string) string { return strings.Replace(handshake, old, with, 1) }
	tests := []struct {
		name, request string
		status        int
		body          string
	}{
		{"whole", handshake, 101, ""},
		{"repeated and lower case headers", replace("Connection: Upgrade\r\nUpgrade: websocket",
			"connection: keep-alive\r\nconnection: foo, upgrade\r\nupgrade: WebSocket"), 101, ""},
		{"no upgrade", replace("Connection: Upgrade\r\nUpgrade: websocket\r\n", ""), 426, "this is a WebSocket endpoint"},
		{"another upgrade", replace("Upgrade: websocket", "Upgrade: h2c"), 426, "this is a WebSocket endpoint"},
		{"version 8", replace("Version: 13", "Version: 8"), 426, "version 13"},
		{"no version", replace("Sec-WebSocket-Version: 13\r\n", ""), 426, "version 13"},
		{"POST", replace("GET", "POST"), 405, "GET"},
		{"short key", replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ=="), 400, "Sec-WebSocket-Key"},
		{"no key", replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400, "Sec-WebSocket-Key"},
		{"HTTP/1.0", replace("HTTP/1.1", "HTTP/1.0"), 505, "HTTP/1.1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			response, _ := rawRequest(t, url, test.request)
			if response.StatusCode != test.status {
				t.Errorf("status %d, want %d", response.StatusCode, test.status)
			}
			if v := response.Header.Get("Sec-WebSocket-Version"); test.status == 426 && v != "13" {
				t.Errorf("426 names version %q, want 13", v)
			}
			if test.status == 101 {
				if a := response.Header.Get("Sec-WebSocket-Accept"); a != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
					t.Errorf("accepted with %q, want what RFC 6455 computes", a)
				}
				return
			}
			if body, _ := io.ReadAll(response.Body); !strings.Contains(string(body), test.body) {
				t.Errorf("the body is %q, want it to name %q", body, test.body)
			}
		})
	}
}

func TestFramesRightBehindTheHandshake(t *testing.T) {
	t.Parallel()
	url := serve(t, nil, nil)
	in := join(texts(note), frame(text, note[:5]))
	_, c := rawRequest(t, url, handshake+string(in))
	c.text() // the 1000
	if got := c.text(); got != accepted {
		t.Errorf("answered %s, want %s", got, accepted)
	}
	c.write(frame(fin|continuation, note[5:]))
	if got := c.text(); got != accepted {
		t.Errorf("answered %s, want %s", got, accepted)
	}
}

func TestSubprotocol(t *testing.T) {
	t.Parallel()
	url := serve(t, nil, func(h *bachata.Handler) { h.Subprotocols = []string{"bachata"} })
	for offered, want := range map[string]string{"": "", "secret-token, bachata": "bachata", "other": ""} {
		request := handshake
		if offered != "" {
			request = strings.Replace(handshake, "Host:", "Sec-WebSocket-Protocol: "+offered+"\r\nHost:", 1)
		}
		if response, _ := rawRequest(t, url, request); response.Header.Get("Sec-WebSocket-Protocol") != want {
			t.Errorf("offered %q, agreed on %q, want %q", offered, response.Header.Get("Sec-WebSocket-Protocol"), want)
		}
	}
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(newHandler(t, nil, nil))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	response, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.ProtoMajor != 2 || response.StatusCode != 426 || response.Header.Get("Upgrade") != "" {
		t.Errorf("answered %s %s %v, want a 426 over HTTP/2", response.Proto, response.Status, response.Header)
	}
	recorder := httptest.NewRecorder()
	extended := httptest.NewRequest(http.MethodConnect, "/", nil)
	extended.ProtoMajor, extended.ProtoMinor = 2, 0
	newHandler(t, nil, nil).ServeHTTP(recorder, extended)
	if recorder.Code != 505 {
		t.Errorf("an extended CONNECT was answered %d, want 505", recorder.Code)
	}
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestNotSetUp(t *testing.T) {
	t.Parallel()
	center := bachata.NewCenter(voidQueue{}, nil)
	defer center.Close()
	handlers := map[string]*bachata.Handler{
		"no Center":       {Authenticate: byName},
		"no Authenticate": {Center: center},
		`"app.example"`:   {Center: center, Authenticate: byName, Origins: []string{"app.example"}},
	}
	for want, h := range handlers {
		var log syncBuffer
		h.Logger = slog.New(slog.NewTextHandler(&log, nil))
		url := listen(t, h)
		for range 2 {
			if response, _ := rawRequest(t, url, handshake); response.StatusCode != 500 {
				t.Errorf("%s: status %d, want 500", want, response.StatusCode)
			}
		}
		if got := strings.ReplaceAll(log.String(), `\"`, `"`); strings.Count(got, "\n") != 1 || !strings.Contains(got, want) {
			t.Errorf("%s: logged %q, want one line that says so", want, got)
		}
		if err := h.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Check() = %v", want, err)
		}
	}
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	secret := errors.New("database is down")
	tests := []struct {
		name   string
		id     bachata.Identity
		err    error
		code   bachata.CloseCode
		reason string
	}{
		{"an error", bachata.Identity{Channel: "anna"}, secret, 4401, "not authenticated"},
		{"no channel", bachata.Identity{}, nil, 4401, "not authenticated"},
		{"not allowed", bachata.Identity{}, fmt.Errorf("anna: %w", bachata.ErrNotAllowed), 4403, "not allowed"},
		{"a reason", bachata.Identity{}, &bachata.Refusal{Reason: "token is 3 minutes old"}, 4401, "token is 3 minutes old"},
		{"a long reason", bachata.Identity{}, &bachata.Refusal{Reason: strings.Repeat("é", 100)}, 4401, strings.Repeat("é", 61)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			told := make(chan error, 1)
			var center *bachata.Center
			url := serve(t, nil, func(h *bachata.Handler) {
				center = h.Center
				h.Authenticate = func(*http.Request) (bachata.Identity, error) { return test.id, test.err }
				h.OnAuthError = func(r *http.Request, err error) { told <- err }
				h.OnOpen = func(*bachata.Session, *http.Request) { t.Error("OnOpen was called") }
				h.OnClose = func(*bachata.Session) { t.Error("OnClose was called") }
			})
			c := dial(t, url, nil)
			c.write(texts(note)) // nothing of it is taken
			if reason := c.expectClose(test.code); reason != test.reason {
				t.Errorf("the reason is %q, want %q", reason, test.reason)
			}
			c.expectEnd()
			if err := <-told; test.err != nil && !errors.Is(err, test.err) {
				t.Errorf("OnAuthError was told %v, want %v", err, test.err)
			}
			if n := center.Online("anna"); n != 0 {
				t.Errorf("%d sockets are online, want none", n)
			}
		})
	}
}

func TestHooks(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 10)
	url := serve(t, nil, func(h *bachata.Handler) {
		h.OnOpen = func(s *bachata.Session, _ *http.Request) {
			s.SetValue("kept")
			seen <- "open " + s.Identity().Channel
		}
		h.OnMessage = func(s *bachata.Session, m *bachata.Message) error {
			seen <- fmt.Sprint("message ", m.ID().Text, " ", s.Value())
			return &bachata.Refusal{Code: "rude", Reason: "say please"}
		}
		h.OnClose = func(s *bachata.Session) { seen <- "close " + s.Identity().Channel }
	})
	c := ready(t, url)
	c.write(texts(note))
	if got, want := c.text(), `{"type":400,"data":"1","code":"rude","reason":"say please"}`; got != want {
		t.Errorf("answered %s, want %s", got, want)
	}
	c.Conn.Close()
	var got []string
	for range 3 {
		got = append(got, <-seen)
	}
	if want := []string{"open anna", "message 1 kept", "close anna"}; !slices.Equal(got, want) {
		t.Errorf("the hooks saw %q, want %q", got, want)
	}
}

func TestHooksThatPanic(t *testing.T) {
	t.Parallel()
	closed := make(chan bool, 1)
	url := serve(t, nil, func(h *bachata.Handler) {
		h.OnOpen = func(s *bachata.Session, _ *http.Request) { panic("open") }
		h.OnClose = func(s *bachata.Session) { closed <- true; panic("close") }
	})
	c := dial(t, url, nil)
	c.expectClose(bachata.CloseInternal)
	c.expectEnd()
	<-closed
	dial(t, url, nil).expectClose(bachata.CloseInternal)
}

// wrapped is what many a middleware does to a ResponseWriter.
type wrapped struct{ w http.ResponseWriter }

func (w wrapped) Header() http.Header         { return w.w.Header() }
func (w wrapped) Write(b []byte) (int, error) { return w.w.Write(b) }
func (w wrapped) WriteHeader(status int)      { w.w.WriteHeader(status) }
func (w wrapped) Unwrap() http.ResponseWriter { return w.w }
func wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(wrapped{w}, r) })
}
func answers(t *testing.T, url string) (ok bool) {
	c := ready(t, url)
	c.write(texts(note))
	return c.text() == accepted
}

func TestMounted(t *testing.T) {
	t.Parallel()
	h := newHandler(t, nil, nil)
	mux := http.NewServeMux()
	mux.Handle("GET /messages", wrap(wrap(h)))
	mux.Handle("/impossible", http.TimeoutHandler(h, time.Minute, ""))
	url := listen(t, mux)
	if !answers(t, strings.Replace(url, "/?", "/messages?", 1)) {
		t.Error("no answer through a mux and middleware")
	}
	response, _ := rawRequest(t, url, strings.Replace(handshake, "/?", "/impossible?", 1))
	if response.StatusCode != 500 {
		t.Errorf("a middleware that can't hijack: status %d, want 500", response.StatusCode)
	}
	server := httptest.NewTLSServer(mux)
	defer server.Close()
	dialer := ws.Dialer{TLSConfig: &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}}
	conn, r, _, err := dialer.Dial(t.Context(), "wss"+strings.TrimPrefix(server.URL, "https")+"/messages?channel=anna")
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, conn, r)
	c.text()
	c.write(texts(note))
	if got := c.text(); got != accepted {
		t.Errorf("over TLS: %s, want %s", got, accepted)
	}
}

func TestHandlerShutdown(t *testing.T) {
	t.Parallel()
	for name := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan bool, 2)
			var h *bachata.Handler
			url := drivers[name](t, nil, func(handler *bachata.Handler) {
				h = handler
				h.OnClose = func(*bachata.Session) { closed <- true }
			})
			polite, mute := ready(t, url), ready(t, url)
			done := make(chan error)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { done <- h.Shutdown(ctx) }()
			polite.expectClose(bachata.CloseGoingAway)
			polite.expectEnd()
			<-closed
			mute.expectClose(bachata.CloseGoingAway) // and no answer to it
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("Shutdown() = %v, want that its context ended", err)
			}
			<-closed
			if _, err := tryDial(t, url, nil); err == nil {
				c := dial(t, url, nil)
				if _, _, err := c.read(); err == nil {
					t.Error("a connection is served after Shutdown")
				}
			}
			if err := h.Shutdown(t.Context()); err != nil {
				t.Errorf("second Shutdown() = %v", err)
			}
		})
	}
}

func TestClosedCenter(t *testing.T) {
	t.Parallel()
	h := newHandler(t, nil, nil)
	url := listen(t, h)
	c := ready(t, url)
	if err := h.Center.Close(); err != nil {
		t.Fatal(err)
	}
	c.expectClose(bachata.CloseGoingAway)
	c.expectEnd()
	dial(t, url, nil).expectClose(bachata.CloseGoingAway)
}
