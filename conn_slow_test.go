package bachata_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

// tightServer is a server whose kernel keeps little for a client that does not read.
func tightServer(t *testing.T, h *bachata.Handler) string {
	t.Helper()
	return serverThatKeeps(t, 16<<10, h)
}

func serverThatKeeps(t *testing.T, size int, h *bachata.Handler) string {
	t.Helper()
	return listenAs(t, h, func(s *httptest.Server) {
		s.Listener = keepingListener{s.Listener, size}
		s.Start()
	})
}

// tightDrivers are tightServer for each driver.
var tightDrivers = map[string]func(t *testing.T, h *bachata.Handler) string{
	"polled": tightServer,
	"parked": func(t *testing.T, h *bachata.Handler) string {
		h.Portable = true
		return tightServer(t, h)
	},
	"wrapped": func(t *testing.T, h *bachata.Handler) string {
		return listenAs(t, h, func(s *httptest.Server) {
			s.Listener = wrappingListener{keepingListener{s.Listener, 16 << 10}}
			s.Start()
		})
	},
	"polled TLS": func(t *testing.T, h *bachata.Handler) string {
		return listenAs(t, h, func(s *httptest.Server) {
			s.Listener = bachata.NewListener(keepingListener{s.Listener, 16 << 10}, nil)
			s.StartTLS()
		})
	},
	"TLS": func(t *testing.T, h *bachata.Handler) string {
		return listenAs(t, h, func(s *httptest.Server) {
			s.Listener = keepingListener{s.Listener, 16 << 10}
			s.StartTLS()
		})
	},
}

// onEachTight runs test for each driver.
func onEachTight(t *testing.T, test func(t *testing.T, serve func(t *testing.T, h *bachata.Handler) string)) {
	t.Helper()
	for name, serve := range tightDrivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, serve)
		})
	}
}

// keepingListener has the kernel keep so many bytes for a client that does not read.
type keepingListener struct {
	net.Listener
	size int
}

func (l keepingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		_ = conn.(*net.TCPConn).SetWriteBuffer(l.size)
	}
	return conn, err
}

// tightClient opens a connection whose kernel takes little before it is read.
func tightClient(t *testing.T, url string) *client {
	t.Helper()
	c := ready(t, url)
	below, size := c.Conn, 16<<10
	if secure, ok := below.(*tls.Conn); ok {
		below, size = secure.NetConn(), 128<<10 // a window of less than some records opens late each time
	}
	if err := below.(*net.TCPConn).SetReadBuffer(size); err != nil {
		t.Fatal(err)
	}
	return c
}

// A client that sends and does not read: nothing more is read from it when 256 KiB wait for it, it is cut after
// WriteTimeout, and others are served meanwhile.
func TestStoppedReader(t *testing.T) {
	t.Parallel()
	onEachTight(t, testStoppedReader)
}

func testStoppedReader(t *testing.T, serve func(t *testing.T, h *bachata.Handler) string) {
	var taken atomic.Int64
	closed := make(chan bool, 2)
	h := newHandler(t, nil, func(h *bachata.Handler) {
		h.WriteTimeout = 300 * time.Millisecond
		h.OnMessage = func(s *bachata.Session, m *bachata.Message) error {
			taken.Add(1)
			return nil
		}
		h.OnClose = func(*bachata.Session) { closed <- true }
	})
	url := serve(t, h)
	c, other := tightClient(t, url), ready(t, url)
	// Each message is answered with 240 bytes, as long as an id may be.
	message := texts(fmt.Sprintf(`{"id":"%s","type":"direct","dest":"bob"}`, strings.Repeat("x", 200)))
	var in []byte
	for range 1000 {
		in = append(in, message...)
	}
	for {
		if _, err := c.Write(in); err != nil {
			break // it was cut
		}
		other.write(texts(note))
		if got := other.text(); got != accepted {
			t.Fatalf("another client was answered %s", got)
		}
	}
	<-closed
	got := taken.Load()
	if bytes := got * 240; bytes > 4<<20 {
		t.Errorf("%d messages were taken, whose answers have %d bytes; want no more when 256 KiB are unread", got, bytes)
	}
	other.write(texts(note))
	if got := other.text(); got != accepted {
		t.Errorf("another client was answered %s", got)
	}
}

// deliverMuch has 100 messages of 40 KB delivered to anna, whose window does not stop them.
func deliverMuch(t *testing.T, serve func(t *testing.T, h *bachata.Handler) string, change func(h *bachata.Handler)) (c *client, s *bachata.Session, closed <-chan bool) {
	t.Helper()
	queue := memory.New(nil)
	center := bachata.NewCenter(queue, &bachata.Options{Window: bachata.Limit{Messages: 1000, Bytes: 64 << 20}})
	done := make(chan bool, 1)
	h := &bachata.Handler{Center: center, Authenticate: byName, OnClose: func(*bachata.Session) { done <- true }}
	h.WriteTimeout = time.Hour // however long the sending takes
	h.OnOpen = func(opened *bachata.Session, _ *http.Request) { s = opened }
	change(h)
	t.Cleanup(func() {
		_ = center.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = h.Shutdown(ctx)
		_ = queue.Close()
	})
	c = tightClient(t, serve(t, h))
	for i := range 100 {
		sendBig(t, center, i, "anna")
	}
	return c, s, done
}

func sendBig(t *testing.T, center *bachata.Center, id int, channels ...string) {
	t.Helper()
	m, err := bachata.MakeMessage(bachata.Draft{ID: bachata.StringID(fmt.Sprint(id)), Type: "big", Data: strings.Repeat("x", 40_000)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := center.Send(t.Context(), m, channels...); err != nil {
		t.Fatal(err)
	}
}

func TestSlowReaderIsServed(t *testing.T) {
	t.Parallel()
	onEachTight(t, testSlowReaderIsServed)
}

func testSlowReaderIsServed(t *testing.T, serve func(t *testing.T, h *bachata.Handler) string) {
	c, _, _ := deliverMuch(t, serve, func(h *bachata.Handler) { h.MaxPending = 32 << 20 })
	for i := range 100 {
		if i%20 == 0 {
			time.Sleep(10 * time.Millisecond) // slow is what this client is
		}
		if got, want := c.text(), fmt.Sprintf(`{"id":"%d",`, i); !strings.HasPrefix(got, want) {
			t.Fatalf("message %d begins %.20s, want %s", i, got, want)
		}
	}
	c.write(frame(fin|ping, "still"))
	if got := c.expect(pong); got != "still" {
		t.Errorf("the pong is %q, want still", got)
	}
}

// A client that does not read holds up nobody to whom the same messages go, and gets them when it reads again.
func TestStoppedMember(t *testing.T) {
	t.Parallel()
	onEachTight(t, testStoppedMember)
}

func testStoppedMember(t *testing.T, serve func(t *testing.T, h *bachata.Handler) string) {
	const n = 100 // of 40 KB, far more than both kernels keep
	queue := memory.New(nil)
	center := bachata.NewCenter(queue, &bachata.Options{Window: bachata.Limit{Messages: 1000, Bytes: 64 << 20}})
	url := serve(t, newHandler(t, nil, func(h *bachata.Handler) {
		h.Center = center
		h.WriteTimeout, h.MaxPending = time.Hour, 32<<20
	}))
	t.Cleanup(func() {
		_ = center.Close()
		_ = queue.Close()
	})
	stopped, bob := tightClient(t, url), ready(t, strings.Replace(url, "anna", "bob", 1))
	inOrder := func(c *client, i int) {
		t.Helper()
		if got, want := c.text(), fmt.Sprintf(`{"id":"%d",`, i); !strings.HasPrefix(got, want) {
			t.Fatalf("message %d begins %.20s, want %s", i, got, want)
		}
	}
	for i := range n {
		sendBig(t, center, i, "anna", "bob")
		inOrder(bob, i)
	}
	for i := range n {
		inOrder(stopped, i)
	}
}

// A client for which more than MaxPending waits is told so, behind what was kept for it, and closed.
func TestMaxPending(t *testing.T) {
	t.Parallel()
	onEachTight(t, testMaxPending)
}

func testMaxPending(t *testing.T, serve func(t *testing.T, h *bachata.Handler) string) {
	c, s, closed := deliverMuch(t, serve, func(h *bachata.Handler) { h.MaxPending = 1 << 20 })
	for i := 100; !bachata.Refused(s); i++ { // what is written at once while nothing waits is kept, however much it is
		sendBig(t, s.Center(), i, "anna")
	}
	c.expectClose(bachata.CloseStopped) // every frame before it was whole
	c.expectEnd()
	<-closed
}

func TestWriteTimeout(t *testing.T) {
	t.Parallel()
	onEachTight(t, testWriteTimeout)
}

func testWriteTimeout(t *testing.T, serve func(t *testing.T, h *bachata.Handler) string) {
	c, _, closed := deliverMuch(t, serve, func(h *bachata.Handler) {
		h.MaxPending = 32 << 20
		h.WriteTimeout = 50 * time.Millisecond
	})
	<-closed
	if _, err := io.Copy(io.Discard, c.r); err == nil {
		t.Error("the stream ended as if all was well")
	}
}

// Over TLS too the connection is cut at once: what the kernel keeps for the client is given up.
func TestWriteTimeoutOverTLS(t *testing.T) {
	t.Parallel()
	for name, listener := range map[string]func(net.Listener) net.Listener{
		"polled": func(l net.Listener) net.Listener { return bachata.NewListener(l, nil) },
		"parked": func(l net.Listener) net.Listener { return l },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan bool, 1)
			center := storingCenter(t)
			h := newHandler(t, nil, func(h *bachata.Handler) {
				h.Center = center
				h.WriteTimeout = 50 * time.Millisecond
				h.OnClose = func(*bachata.Session) { closed <- true }
			})
			c := ready(t, listenAs(t, h, func(s *httptest.Server) {
				s.Listener = listener(keepingListener{s.Listener, 256 << 10})
				s.StartTLS()
			}))
			below := c.Conn.(*tls.Conn).NetConn()
			if err := below.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil {
				t.Fatal(err)
			}
			for i := range 100 {
				sendBig(t, center, i, "anna")
			}
			<-closed
			if _, err := io.Copy(io.Discard, below); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the stream ends with %v, want a reset", err)
			}
		})
	}
}

// Ephemeral messages are dropped for a client that is behind with reading: nobody can cost it its connection by them.
func TestEphemeralFlood(t *testing.T) {
	t.Parallel()
	url := tightServer(t, newHandler(t, nil, func(h *bachata.Handler) {
		h.Center = storingCenter(t)
		h.WriteTimeout = time.Hour // however long the flood takes
	}))
	bob := tightClient(t, strings.Replace(url, "anna", "bob", 1))
	anna := ready(t, url)
	flood := fmt.Sprintf(`{"type":"typing","dest":"bob","ephemeral":true,"data":%q}`, strings.Repeat("x", 60<<10))
	for range 160 {
		anna.write(texts(flood))
	}
	anna.write(texts(`{"id":1,"type":"direct","dest":"bob"}`))
	if err := bob.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for {
		op, payload, err := bob.read()
		if err != nil || op == 8 {
			t.Fatalf("bob, who only paused, was closed: %v %q, %v", op, payload, err)
		}
		if strings.Contains(string(payload), `"id":1`) {
			return
		}
	}
}

// eofListener tells when the server has read to the end of a stream.
type eofListener struct {
	net.Listener
	ended chan bool
}

func (l eofListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return eofConn{conn, l.ended}, err
}

type eofConn struct {
	net.Conn
	ended chan bool
}

func (c eofConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == io.EOF {
		c.ended <- true
	}
	return n, err
}

// A client that ends its own side of the stream, without a close frame, and reads slowly gets what was written to it.
func TestSlowReaderEndsItsSide(t *testing.T) {
	t.Parallel()
	ended, closed := make(chan bool, 1), make(chan bool, 1)
	url := listenAs(t, newHandler(t, nil, func(h *bachata.Handler) {
		h.OnClose = func(*bachata.Session) { closed <- true }
	}), func(s *httptest.Server) {
		s.Listener = eofListener{keepingListener{s.Listener, 16 << 10}, ended}
		s.Start()
	})
	c := tightClient(t, url)
	const n = 1000 // of 127 bytes, much more than both kernels keep
	c.write(bytes.Repeat(frame(fin|ping, strings.Repeat("x", 125)), n))
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	<-ended
	for range n {
		c.expect(pong)
	}
	<-closed
}

// A client that closes, and has not read all after CloseTimeout, is let go, not cut: what the kernel keeps for it still comes.
func TestSlowReaderCloses(t *testing.T) {
	t.Parallel()
	for name, portable := range map[string]bool{"polled": false, "parked": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan bool, 1)
			c := tightClient(t, serverThatKeeps(t, 1<<20, newHandler(t, nil, func(h *bachata.Handler) {
				h.Portable = portable
				h.CloseTimeout = 10 * time.Millisecond
				h.OnClose = func(*bachata.Session) { closed <- true }
			})))
			const n = 1000 // of 127 bytes: more than the client's kernel takes, and less than the server's
			c.write(join(bytes.Repeat(frame(fin|ping, strings.Repeat("x", 125)), n), closeFrame(bachata.CloseNormal, "")))
			<-closed
			for range n {
				c.expect(pong)
			}
			c.expectClose(bachata.CloseNormal)
			if b, err := io.ReadAll(c.r); err != nil || len(b) > 0 {
				t.Errorf("behind the close frame came %q, %v; want the end of the stream", b, err)
			}
		})
	}
}
