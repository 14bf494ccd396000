//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// client is a WebSocket of a test's own.
type client struct {
	t        *testing.T
	conn     net.Conn
	reader   io.Reader
	protocol string // that was agreed on
}

type duplex struct {
	io.Reader
	io.Writer
}

// dial connects to the server of a test; query begins with "?", header and protocols may be empty.
func dial(t *testing.T, s *server, query string, header http.Header, protocols ...string) *client {
	t.Helper()
	d := ws.Dialer{Protocols: protocols, Header: ws.HandshakeHeaderHTTP(header)}
	conn, buffered, handshake, err := d.Dial(within(t, stepTimeout), "ws://"+s.address+"/messages"+query)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &client{t: t, conn: conn, reader: conn, protocol: handshake.Protocol}
	if buffered != nil {
		c.reader = io.MultiReader(bufferedOf(buffered), conn)
	}
	return c
}

// bufferedOf returns what came together with the answer to the handshake.
func bufferedOf(r *bufio.Reader) io.Reader {
	text, err := r.Peek(r.Buffered())
	if err != nil {
		return strings.NewReader("")
	}
	return bytes.NewReader(text)
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := wsutil.WriteClientText(c.conn, []byte(text)); err != nil {
		c.t.Fatalf("send %s: %v", text, err)
	}
}

// next returns the next frame; code is that of the close frame, if it was one.
func (c *client) next() (text string, code int) {
	c.t.Helper()
	deadline, _ := within(c.t, stepTimeout).Deadline()
	if err := c.conn.SetReadDeadline(deadline); err != nil {
		c.t.Fatal(err)
	}
	frame, err := wsutil.ReadServerText(duplex{c.reader, c.conn})
	if closed, ok := errors.AsType[wsutil.ClosedError](err); ok {
		return closed.Reason, int(closed.Code)
	}
	if err != nil {
		c.t.Fatalf("read a frame: %v", err)
	}
	return string(frame), 0
}

// waitsFor reads until a transport message with this type comes.
func (c *client) waitsFor(code int) map[string]any {
	c.t.Helper()
	for {
		text, closed := c.next()
		if closed != 0 {
			c.t.Fatalf("closed with %d %q before a %d came", closed, text, code)
		}
		var frame map[string]any
		if err := json.Unmarshal([]byte(text), &frame); err != nil {
			c.t.Fatalf("frame %q: %v", text, err)
		}
		if frame["type"] == float64(code) {
			return frame
		}
	}
}
