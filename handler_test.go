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
	"maps"
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
	scheme, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	if scheme == "wss" {
		conn = tls.Client(conn, trustTests)
	}
	c := newClient(t, conn, bufio.NewReader(conn))
	c.write([]byte(request))
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return response, c
}

// RFC 6455, section 4: what a handshake must be, and how it is answered.
func TestHandshake(t *testing.T) {
	t.Parallel()
	url := serve(t, nil, nil)
	replace := func(old, with string) string {
		if !strings.Contains(handshake, old) {
			t.Fatalf("the handshake has no %q", old)
		}
		return strings.Replace(handshake, old, with, 1)
	}
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	tests := []struct {
		name, request string
		status        int
		body          string
	}{
		{"4.2.2 whole", handshake, 101, ""},
		{"4.2.1 lists, repeated headers, any case", replace("Connection: Upgrade\r\nUpgrade: websocket",
			"connection: keep-alive\r\nconnection: foo, upgrade\r\nupgrade: WebSocket"), 101, ""},
		{"4.2.1 as Firefox has it", replace("Connection: Upgrade", "Connection: keep-alive, Upgrade"), 101, ""},
		{"4.2.1 list of upgrades", replace("Upgrade: websocket", "Upgrade: h2c, WEBSOCKET"), 101, ""},
		{"4.2.1 white space around values", replace("Version: 13", "Version:   13  "), 101, ""},
		{"4.2.1 headers that are not known", replace("Host:", "Sec-WebSocket-Foo: bar\r\nX: y\r\nHost:"), 101, ""},
		{"4.2.1 another resource", replace("GET /?", "GET /a/b?c=d&"), 101, ""},
		{"4.2.1 absolute URI", replace("GET /?", "GET http://chat.example/?"), 101, ""},
		{"4.2.1 empty host", replace("Host: chat.example", "Host:"), 101, ""},
		{"4.2.1 no host", replace("Host: chat.example\r\n", ""), 400, "Host"},
		{"4.2.1 two hosts", replace("Host:", "Host: a\r\nHost:"), 400, ""},
		{"4.2.1 no headers", "GET / HTTP/1.1\r\nHost: chat.example\r\n\r\n", 426, "this is a WebSocket endpoint"},
		{"4.2.1 no upgrade", replace("Upgrade: websocket\r\n", ""), 426, "this is a WebSocket endpoint"},
		{"4.2.1 no connection", replace("Connection: Upgrade\r\n", ""), 426, "this is a WebSocket endpoint"},
		{"4.2.1 connection that only begins so", replace("Connection: Upgrade", "Connection: Upgrades"), 426, "this is a WebSocket endpoint"},
		{"4.2.1 another upgrade", replace("Upgrade: websocket", "Upgrade: h2c"), 426, "this is a WebSocket endpoint"},
		{"4.2.1 upgrade that only begins so", replace("Upgrade: websocket", "Upgrade: websocket2"), 426, "this is a WebSocket endpoint"},
		{"4.4 version 8", replace("Version: 13", "Version: 8"), 426, "version 13"},
		{"4.4 version 0", replace("Version: 13", "Version: 0"), 426, "version 13"},
		{"4.4 version 14", replace("Version: 13", "Version: 14"), 426, "version 13"},
		{"4.4 version 255", replace("Version: 13", "Version: 255"), 426, "version 13"},
		{"4.4 version with a leading zero", replace("Version: 13", "Version: 013"), 426, "version 13"},
		{"4.4 list of versions", replace("Version: 13", "Version: 13, 8"), 426, "version 13"},
		{"4.4 version that is none", replace("Version: 13", "Version: x"), 426, "version 13"},
		{"4.4 empty version", replace("Version: 13", "Version:"), 426, "version 13"},
		{"4.4 no version", replace("Sec-WebSocket-Version: 13\r\n", ""), 426, "version 13"},
		{"11.3.5 two versions", replace("Host:", "Sec-WebSocket-Version: 8\r\nHost:"), 426, "version 13"},
		{"11.3.5 the same version twice", replace("Host:", "Sec-WebSocket-Version: 13\r\nHost:"), 426, "version 13"},
		{"4.2.1 POST", replace("GET", "POST"), 405, "GET"},
		{"4.2.1 PUT", replace("GET", "PUT"), 405, "GET"},
		{"4.2.1 method in lower case", replace("GET", "get"), 405, "GET"},
		{"4.2.1 short key", replace(key, "dGhlIHNhbXBsZQ=="), 400, "Sec-WebSocket-Key"},
		{"4.2.1 long key", replace(key, "dGhlIHNhbXBsZSBub25jZSE="), 400, "Sec-WebSocket-Key"},
		{"4.2.1 key that is not base64", replace(key, "dGhlIHNhbXBsZSBub25jZ!=="), 400, "Sec-WebSocket-Key"},
		{"4.2.1 key of URLs' base64", replace(key, "_____________________w=="), 400, "Sec-WebSocket-Key"},
		{"4.2.1 key without padding", replace(key, "dGhlIHNhbXBsZSBub25jZQ"), 400, "Sec-WebSocket-Key"},
		{"4.2.1 empty key", replace(key, ""), 400, "Sec-WebSocket-Key"},
		{"4.2.1 no key", replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400, "Sec-WebSocket-Key"},
		{"11.3.1 two keys", replace("Host:", "Sec-WebSocket-Key: "+key+"\r\nHost:"), 400, "Sec-WebSocket-Key"},
		{"9.1 extensions that are no list", replace("Host:", "Sec-WebSocket-Extensions: ;\r\nHost:"), 400, "Sec-WebSocket-Extensions"},
		{"9.1 extensions that are not known", replace("Host:", "Sec-WebSocket-Extensions: foo; bar=\"baz\", x\r\nHost:"), 101, ""},
		{"11.3.4 subprotocol that is no token", replace("Host:", "Sec-WebSocket-Protocol: \"chat\"\r\nHost:"), 400, "Sec-WebSocket-Protocol"},
		{"11.3.4 subprotocols without commas", replace("Host:", "Sec-WebSocket-Protocol: chat talk\r\nHost:"), 400, "Sec-WebSocket-Protocol"},
		{"11.3.4 list of no subprotocol", replace("Host:", "Sec-WebSocket-Protocol: ,\r\nHost:"), 400, "Sec-WebSocket-Protocol"},
		{"11.3.4 empty subprotocol", replace("Host:", "Sec-WebSocket-Protocol:\r\nHost:"), 400, "Sec-WebSocket-Protocol"},
		{"11.3.4 a second header that is no list", replace("Host:", "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: a/b\r\nHost:"), 400,
			"Sec-WebSocket-Protocol"},
		{"11.3.4 subprotocols that are not known", replace("Host:", "Sec-WebSocket-Protocol: chat, , talk\r\nHost:"), 101, ""},
		{"4.2.1 HTTP/1.0", replace("HTTP/1.1", "HTTP/1.0"), 505, "HTTP/1.1"},
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
				want := http.Header{
					"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
					"Sec-Websocket-Accept": {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, // section 1.3 computes it
				}
				if !maps.EqualFunc(response.Header, want, slices.Equal) {
					t.Errorf("the headers are %v, want %v", response.Header, want)
				}
				return
			}
			if body, _ := io.ReadAll(response.Body); !strings.Contains(string(body), test.body) {
				t.Errorf("the body is %q, want it to name %q", body, test.body)
			}
		})
	}
}

// Section 4.2.2: what comes right behind the handshake is in net/http's buffer.
func TestFramesRightBehindTheHandshake(t *testing.T) {
	t.Parallel()
	onEach(t, nil, func(t *testing.T, url string) {
		_, c := rawRequest(t, url, handshake+string(join(texts(note), frame(text, note[:5]))))
		c.text() // the 1000
		if got := c.text(); got != accepted {
			t.Errorf("answered %s, want %s", got, accepted)
		}
		c.write(frame(fin|continuation, note[5:]))
		if got := c.text(); got != accepted {
			t.Errorf("answered %s, want %s", got, accepted)
		}

		_, c = rawRequest(t, url, handshake+string(join(texts(note), frame(fin|0x3, ""))))
		c.text()
		if got := c.text(); got != accepted {
			t.Errorf("answered %s, want %s", got, accepted)
		}
		c.expectClose(bachata.CloseProtocolError)
		c.expectEnd()

		// More than one read takes, and more than the buffer.
		_, c = rawRequest(t, url, handshake+string(bytes.Repeat(texts(note), 1000)))
		c.text()
		for range 1000 {
			if got := c.text(); got != accepted {
				t.Fatalf("answered %s, want %s", got, accepted)
			}
		}
	})
}

func TestSubprotocol(t *testing.T) {
	t.Parallel()
	url := serve(t, nil, func(h *bachata.Handler) { h.Subprotocols = []string{"bachata", "chat"} })
	for offered, want := range map[string]string{
		"": "", "secret-token, bachata": "bachata", "other": "", "Bachata": "", "bachata,other": "bachata",
		",, other ,,bachata": "bachata", "bachata, bachata": "bachata", "chat, bachata": "chat", "bachata, chat": "bachata",
		"other\r\nSec-WebSocket-Protocol: bachata": "bachata",
	} {
		request := handshake
		if offered != "" {
			request = strings.Replace(handshake, "Host:", "Sec-WebSocket-Protocol: "+offered+"\r\nHost:", 1)
		}
		if response, _ := rawRequest(t, url, request); response.Header.Get("Sec-WebSocket-Protocol") != want {
			t.Errorf("offered %q, agreed on %q, want %q", offered, response.Header.Get("Sec-WebSocket-Protocol"), want)
		}
	}
}

// A client that leaves during its handshake is nothing that the operator must know of.
func TestLeavingDuringTheHandshake(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	var client net.Conn
	url := serve(t, nil, func(h *bachata.Handler) {
		h.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		h.Authenticate = func(r *http.Request) (bachata.Identity, error) {
			_ = client.(*net.TCPConn).SetLinger(0) // what is written to it fails
			client.Close()
			<-r.Context().Done()
			return byName(r)
		}
	})
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "ws://"), "/")
	var err error
	if client, err = net.Dial("tcp", host); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(client, handshake); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log says that the connection ended", func() bool { return strings.Contains(log.String(), "left during the handshake") })
	if got := log.String(); strings.Contains(got, "level=ERROR") {
		t.Errorf("logged %s, want no error", got)
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

// unwatchedQueue is away: no channel can be watched.
type unwatchedQueue struct{ voidQueue }

func (unwatchedQueue) Watch(string, func(bachata.Wake)) (func(), error) {
	return nil, errors.New("the queue is away")
}

// While the queue is away every client that connects is closed, and comes again. The log says so once a second.
func TestAttachErrorsAreLoggedSparsely(t *testing.T) {
	t.Parallel()
	const n = 100
	var log syncBuffer
	url := serve(t, nil, func(h *bachata.Handler) {
		h.Center = bachata.NewCenter(unwatchedQueue{}, nil)
		t.Cleanup(func() { _ = h.Center.Close() })
		h.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	began := time.Now()
	for range n {
		dial(t, url, nil).expectClose(bachata.CloseInternal)
	}
	got, most := strings.Count(log.String(), `msg="attach session"`), 1+int(time.Since(began)/time.Second)
	if got == 0 || got > most {
		t.Errorf("of %d errors %d were logged, want 1 to %d:\n%s", n, got, most, log.String())
	}
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

// A hook that does not return keeps a handler from nothing but its own connection.
func TestHandlerShutdownLeavesStuckHook(t *testing.T) {
	t.Parallel()
	for name := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stuck, closing := make(chan bool), make(chan bool, 1)
			var h *bachata.Handler
			url := drivers[name](t, nil, func(handler *bachata.Handler) {
				h = handler
				h.OnClose = func(*bachata.Session) {
					closing <- true
					<-stuck
				}
			})
			t.Cleanup(func() { close(stuck) })
			ready(t, url).Close()
			<-closing
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := h.Shutdown(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "has not returned") {
				t.Errorf("Shutdown() = %v, want that a hook has not returned, and that its context ended", err)
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

// An authentication that takes too long is given up, and the client is told.
func TestAuthTimeout(t *testing.T) {
	t.Parallel()
	url := serve(t, nil, func(h *bachata.Handler) {
		h.AuthTimeout = time.Millisecond
		h.Authenticate = func(r *http.Request) (bachata.Identity, error) {
			<-r.Context().Done()
			return bachata.Identity{}, fmt.Errorf("ask for the session: %w", r.Context().Err())
		}
	})
	if reason := dial(t, url, nil).expectClose(bachata.CloseUnauthenticated); !strings.Contains(reason, "too long") {
		t.Errorf("the reason is %q, want it to say that it took too long", reason)
	}
}
