package client

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"github.com/bachata-go/bachata/internal/faults/history"
)

// mostPast is how much a careless client can confirm again.
const mostPast = 200

// forget notes what came first on conn, and reports whether it is not confirmed now.
func (c *Client) forget(conn *conn) bool {
	first := conn.unsent[0]
	if len(c.past) == mostPast {
		c.past = c.past[1:]
	}
	c.past = append(c.past, first)
	if c.random.IntN(12) > 0 {
		return false
	}
	conn.unsent = conn.unsent[1:]
	c.forgot = append(c.forgot, first)
	return true
}

// confirmLate confirms n on conn, on which it perhaps never came: with all that tells it from others of that id.
func (c *Client) confirmLate(conn *conn, n note) {
	c.options.Recorder.Record(history.Event{Kind: history.Confirm, Conn: conn.number, ID: n.id, From: n.from})
	c.say(conn, fmt.Appendf(nil, `{"type":200,"data":%s,"from":%q,"dest":%q}`, n.spelled, n.from, n.dest))
}

// Remember confirms some of what was forgotten, and of what was not, on whatever connection is open.
func (c *Client) Remember() {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn := c.any()
	if conn == nil {
		return
	}
	for range c.random.IntN(20) {
		if len(c.forgot) > 0 && c.random.IntN(2) == 0 {
			i := c.random.IntN(len(c.forgot))
			c.confirmLate(conn, c.forgot[i])
			c.forgot = slices.Delete(c.forgot, i, i+1)
		} else if len(c.past) > 0 {
			c.confirmLate(conn, c.past[c.random.IntN(len(c.past))])
		}
	}
}

// Behave ends all carelessness. What was forgotten on connections that are gone comes again by itself.
func (c *Client) Behave() {
	c.gate.open()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.careless, c.holding = false, false
	for conn := range c.conns {
		for _, n := range c.forgot {
			c.confirmLate(conn, n)
		}
		c.confirm(conn)
	}
	c.forgot = nil
}

// any returns one of the open connections, nil if there is none.
func (c *Client) any() *conn {
	var list []*conn
	for conn := range c.conns {
		list = append(list, conn)
	}
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b *conn) int { return a.number - b.number })
	return list[c.random.IntN(len(list))]
}

// say writes a text; a careless client perhaps compressed, or in pieces with a ping between them.
func (c *Client) say(conn *conn, text []byte) {
	f := ws.NewTextFrame(text)
	if conn.compress && c.random.IntN(3) == 0 {
		if small, err := wsflate.CompressFrame(f); err == nil {
			f = small
		}
	}
	for c.careless && len(f.Payload) > 1 && c.random.IntN(8) == 0 {
		piece := f
		n := c.random.IntN(len(f.Payload))
		piece.Payload, piece.Header.Length, piece.Header.Fin = bytes.Clone(f.Payload[:n]), int64(n), false
		conn.frame(piece)
		if c.random.IntN(2) == 0 {
			conn.frame(ws.NewPingFrame([]byte("between")))
		}
		f.Payload = bytes.Clone(f.Payload[n:])
		f.Header.Length, f.Header.OpCode, f.Header.Rsv = int64(len(f.Payload)), ws.OpContinuation, 0
	}
	conn.frame(f)
}

// nonsense is what a server refuses, or does not mind, and takes for nothing.
var nonsense = []string{
	`{"type":1001}`, `{"type":1002}`, `{"type":300,"data":"1","from":"anna","dest":"anna"}`, `[]`, `{"type":true}`, `{`,
	`{"type":200,"data":"nothing"}`, `{"type":200,"data":[]}`, `{"type":200,"data":"1","from":"nobody"}`, `{"type":200,"data":"2","dest":"nowhere"}`,
	`{"type":"nowhere","data":"x"}`, `{"type":"direct","ephemeral":true,"dest":"nobody","data":1}`,
}

// Stumble does one of the things that a network, or a bad client, does to one connection: noise, or some kind of end.
func (c *Client) Stumble() {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn := c.any()
	if conn == nil {
		return
	}
	switch c.random.IntN(16) {
	case 0:
		conn.frame(ws.NewPingFrame([]byte("a ping")))
	case 1:
		conn.frame(ws.NewPongFrame([]byte("nobody asked")))
	case 2: // in the middle of a frame
		b := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(`{"type":"direct","dest":"nobody","data":"half"}`))))
		conn.raw(b[:1+c.random.IntN(len(b)-1)], conn.close)
	case 3: // this side only
		conn.raw(nil, conn.closeWrite)
	case 4: // as the protocol has it
		conn.raw(ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))), func() {})
	case 5: // all at once
		if c.random.IntN(2) == 0 {
			conn.reset()
		}
		conn.close()
	case 6: // what breaks the protocol: a frame that is not masked
		conn.raw(ws.MustCompileFrame(ws.NewTextFrame([]byte(`{}`))), func() {})
	default:
		conn.text([]byte(nonsense[c.random.IntN(len(nonsense))]))
	}
}

func (conn *conn) closeWrite() {
	if half, ok := conn.net.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // it ends either way
	}
}
