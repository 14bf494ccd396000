package bachata_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
	"github.com/bachata-go/bachata/queuetest"
)

const patience = time.Minute // from the dial on; after it a test has failed

// note is a message that the server of these tests accepts, and accepted is its answer.
const (
	note     = `{"id":"1","type":"direct","dest":"bob","data":"hi"}`
	accepted = `{"type":100,"data":"1"}`
)

// voidQueue accepts everything and holds nothing.
type voidQueue struct{ bachata.Queue }

func (voidQueue) Put(_ context.Context, items []bachata.Item) ([]bachata.PutResult, error) {
	results := make([]bachata.PutResult, len(items))
	for i := range items {
		results[i] = slices.Repeat(bachata.PutResult{bachata.Stored}, len(items[i].Channels))
	}
	return results, nil
}

func (voidQueue) Fetch(context.Context, string, bachata.Cursor, bachata.Limit) ([]bachata.Envelope, error) {
	return nil, nil
}

func (voidQueue) Watch(string, func(bachata.Wake)) (func(), error) { return func() {}, nil }

func (voidQueue) Info() bachata.Info { return bachata.Info{Name: "void"} }

// byName lets anyone in, on the channel that the query names.
func byName(r *http.Request) (bachata.Identity, error) {
	return bachata.Identity{Channel: r.URL.Query().Get("channel")}, nil
}

// newHandler returns a handler on a center that accepts direct messages and stores none. It is shut down with the test.
func newHandler(t *testing.T, o *bachata.Options, change func(h *bachata.Handler)) *bachata.Handler {
	t.Helper()
	center := bachata.NewCenter(voidQueue{}, o)
	if err := center.AddRoute(bachata.Direct()); err != nil {
		t.Fatal(err)
	}
	h := &bachata.Handler{Center: center, Authenticate: byName}
	if change != nil {
		change(h)
	}
	t.Cleanup(func() {
		if err := center.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what did not answer the close frame is cut
		_ = h.Shutdown(ctx)
	})
	return h
}

// storingCenter returns a center that keeps direct messages in memory. It is closed with the test.
func storingCenter(t testing.TB) *bachata.Center {
	t.Helper()
	return centerOn(t, memory.New(nil))
}

// centerOn returns a center on queue, with the direct route. Both are closed with the test.
func centerOn(t testing.TB, queue queuetest.Queue) *bachata.Center {
	t.Helper()
	t.Cleanup(func() { _ = queue.Close() })
	center := bachata.NewCenter(queue, nil)
	t.Cleanup(func() { _ = center.Close() })
	if err := center.AddRoute(bachata.Direct()); err != nil {
		t.Fatal(err)
	}
	return center
}

// serve serves newHandler on a port of its own and returns its ws: address.
func serve(t *testing.T, o *bachata.Options, change func(h *bachata.Handler)) string {
	t.Helper()
	return listen(t, newHandler(t, o, change))
}

// server is what serve is.
type server func(t *testing.T, o *bachata.Options, change func(h *bachata.Handler)) string

// drivers are the ways in which a connection is read.
var drivers = map[string]server{
	"polled": serve,
	"parked": func(t *testing.T, o *bachata.Options, change func(h *bachata.Handler)) string {
		h := newHandler(t, o, change)
		h.Portable = true
		return listen(t, h)
	},
	"wrapped": func(t *testing.T, o *bachata.Options, change func(h *bachata.Handler)) string {
		return listenAs(t, newHandler(t, o, change), func(s *httptest.Server) {
			s.Listener = wrappingListener{s.Listener}
			s.Start()
		})
	},
	"polled TLS": func(t *testing.T, o *bachata.Options, change func(h *bachata.Handler)) string {
		return listenAs(t, newHandler(t, o, change), func(s *httptest.Server) {
			s.Listener = bachata.NewListener(s.Listener, nil)
			s.StartTLS()
		})
	},
	"TLS": func(t *testing.T, o *bachata.Options, change func(h *bachata.Handler)) string {
		return listenAs(t, newHandler(t, o, change), (*httptest.Server).StartTLS)
	},
}

// wrappingListener hides what its connections are, as a listener that counts bytes does.
type wrappingListener struct{ net.Listener }

// Accept returns a connection that is no *net.TCPConn, but has all methods of one.
func (l wrappingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ *net.TCPConn }{conn.(*net.TCPConn)}, nil
}

// onEach runs test for each driver.
func onEach(t *testing.T, o *bachata.Options, test func(t *testing.T, url string)) {
	t.Helper()
	for name, serve := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, serve(t, o, nil))
		})
	}
}

func listen(t *testing.T, h http.Handler) string {
	t.Helper()
	return listenAs(t, h, (*httptest.Server).Start)
}

// listenAs is listen for a server that start starts.
func listenAs(t *testing.T, h http.Handler, start func(*httptest.Server)) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	start(server)
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/?channel=anna"
}

// client is the other end of a WebSocket, without any manners of its own.
type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

// dial opens a WebSocket. Headers are those of the handshake.
func dial(t *testing.T, url string, header http.Header) *client {
	t.Helper()
	c, err := tryDial(t, url, header)
	if err != nil {
		t.Fatalf("dial %s: %v", url, err)
	}
	return c
}

func tryDial(t *testing.T, url string, header http.Header) (*client, error) {
	dialer := ws.Dialer{Timeout: patience, Header: ws.HandshakeHeaderHTTP(header), TLSConfig: trustTests}
	conn, r, _, err := dialer.Dial(t.Context(), url)
	if err != nil {
		return nil, err
	}
	return newClient(t, conn, r), nil
}

func newClient(t *testing.T, conn net.Conn, r *bufio.Reader) *client {
	if r == nil {
		r = bufio.NewReader(conn)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &client{t: t, Conn: conn, r: r}
}

// ready opens a WebSocket and takes its 1000.
func ready(t *testing.T, url string) *client {
	t.Helper()
	c := dial(t, url, nil)
	if text := c.text(); !strings.HasPrefix(text, `{"type":1000,`) {
		t.Fatalf("first came %s, want a 1000", text)
	}
	return c
}

// frame builds a masked frame; first is its first byte.
func frame(first byte, payload string) []byte {
	b := []byte{first, 0x80}
	switch n := len(payload); {
	case n < 126:
		b[1] |= byte(n)
	case n <= 0xffff:
		b[1] |= 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] |= 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	mask := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

const (
	fin          = 0x80
	continuation = 0x0
	text         = 0x1
	binaryOp     = 0x2
	closing      = 0x8
	ping         = 0x9
	pong         = 0xa
)

func texts(payloads ...string) []byte {
	var b []byte
	for _, p := range payloads {
		b = append(b, frame(fin|text, p)...)
	}
	return b
}

func closeFrame(code bachata.CloseCode, reason string) []byte {
	return frame(fin|closing, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// read returns the next frame. It must be whole and not masked.
func (c *client) read() (op byte, payload []byte, err error) { return readFrame(c.r) }

func readFrame(r io.Reader) (op byte, payload []byte, err error) {
	h, err := ws.ReadHeader(r)
	if err != nil {
		return 0, nil, err
	}
	if h.Masked || !h.Fin || h.Rsv != 0 {
		return 0, nil, fmt.Errorf("the server sent the header %+v", h)
	}
	var b bytes.Buffer
	_, err = io.CopyN(&b, r, h.Length)
	return byte(h.OpCode), b.Bytes(), err
}

// text returns the next frame, which must be a text.
func (c *client) text() string {
	c.t.Helper()
	return c.expect(text)
}

// nextText returns the next text; pings that come before it are answered, as after a receipt one does.
func (c *client) nextText() string {
	c.t.Helper()
	for {
		op, payload, err := c.read()
		switch {
		case err == nil && op == text:
			return string(payload)
		case err == nil && op == ping:
			c.write(frame(fin|pong, string(payload)))
		default:
			c.t.Fatalf("read frame: opcode %d, payload %q, error %v; want a text", op, payload, err)
		}
	}
}

// expect returns the payload of the next frame, which must have the opcode want. Before it comes whatever a heartbeat asks
// of a client that was still for as long as a slow machine has it.
func (c *client) expect(want byte) string {
	c.t.Helper()
	op, payload, err := c.read()
	for err == nil && op == ping && want != ping && len(payload) == 0 {
		_, _ = c.Write(frame(fin|pong, "")) // the server may have closed the connection since
		op, payload, err = c.read()
	}
	if err != nil || op != want {
		c.t.Fatalf("read frame: opcode %d, payload %q, error %v; want opcode %d", op, payload, err, want)
	}
	return string(payload)
}

// expectClose reads to the end of the stream and compares the close frame's code; zero is a frame without one.
func (c *client) expectClose(want bachata.CloseCode) (reason string) {
	c.t.Helper()
	for {
		op, payload, err := c.read()
		if err != nil {
			c.t.Fatalf("no close frame before %v, want %d", err, want)
		}
		if op != closing {
			continue
		}
		var code bachata.CloseCode
		if len(payload) >= 2 {
			code, reason = bachata.CloseCode(binary.BigEndian.Uint16(payload)), string(payload[2:])
		}
		if code != want {
			c.t.Fatalf("closed with %d %q, want %d", code, reason, want)
		}
		return reason
	}
}

// expectEnd answers the server's close frame and waits for the end of the stream.
func (c *client) expectEnd() {
	c.t.Helper()
	_, _ = c.Write(closeFrame(bachata.CloseNormal, ""))
	if b, err := io.ReadAll(c.r); err != nil || len(b) > 0 {
		c.t.Fatalf("behind the close frame came %q, %v; want the end of the stream", b, err)
	}
}

// trustTests accepts the certificate of httptest.
var trustTests = &tls.Config{InsecureSkipVerify: true} // there is no name to check

// eventually polls a condition that nothing announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: still not so after %v", what, patience)
		}
		time.Sleep(time.Millisecond)
	}
}
