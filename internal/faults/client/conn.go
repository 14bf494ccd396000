package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"

	"github.com/bachata-go/bachata/internal/faults/history"
)

// conn is one connection.
type conn struct {
	number int
	net    net.Conn
	in     *bufio.Reader
	unsent []note // messages that are to be confirmed; guarded by Client.mu

	compress bool // the server agreed to it

	mu     sync.Mutex
	out    []byte // frames to write
	last   func() // called behind them, if not nil; nothing is written after
	closed bool
	more   chan struct{} // one place: out has grown, or closed is set
}

// note is a message to confirm.
type note struct {
	key
	spelled string // the id as it came
	dest    string
}

var errPeerClosed = errors.New("the server closed the connection")

// keepConnected holds one connection, first to the node of that number, until the client is closed.
func (c *Client) keepConnected(nodes []string, first int) {
	for node := first; c.done.Err() == nil; {
		c.mu.Lock()
		c.dialed++
		conn := &conn{number: c.dialed, more: make(chan struct{}, 1)}
		c.options.Recorder.Record(history.Event{Kind: history.Dial, Conn: conn.number})
		c.mu.Unlock()

		err := c.dial(conn, nodes[node%len(nodes)])
		if err == nil {
			err = c.serve(conn)
		}
		c.gone(conn, err)
		if c.options.Roam {
			node++
		}
		c.pause()
	}
}

// pause waits before the next attempt: as long as the last 1003 said, else a short time that is never the same.
func (c *Client) pause() {
	c.mu.Lock()
	d := c.backoff + time.Millisecond + time.Duration(c.random.Int64N(int64(20*time.Millisecond)))
	c.backoff = 0
	c.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.done.Done():
	}
}

func (c *Client) dial(conn *conn, addr string) error {
	ctx, cancel := context.WithTimeout(c.done, c.dialer.Timeout)
	defer cancel()
	d := ws.Dialer{NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		n, err := c.dialer.DialContext(ctx, network, addr)
		if tcp, ok := n.(*net.TCPConn); ok && c.options.ReadBuffer > 0 && conn.number == 1 {
			err = tcp.SetReadBuffer(c.options.ReadBuffer)
		}
		return n, err
	}, TLSConfig: c.options.TLS}
	if c.options.Compress {
		d.Extensions = []httphead.Option{wsflate.DefaultParameters.Option()}
	}
	if !strings.Contains(addr, "://") {
		addr = "ws://" + addr
	}
	n, br, agreed, err := d.Dial(ctx, addr+"/messages?channel="+url.QueryEscape(c.options.Channel))
	if err != nil {
		return err
	}
	conn.net, conn.compress = n, len(agreed.Extensions) > 0
	// What came right behind the handshake is in br.
	var source io.Reader = &gated{n, &c.gate}
	if br != nil {
		early, _ := br.Peek(br.Buffered())
		source = io.MultiReader(bytesReader(early), source)
	}
	conn.in = bufio.NewReaderSize(source, 4096)
	return nil
}

// serve reads until the connection ends.
func (c *Client) serve(conn *conn) error {
	var writer sync.WaitGroup
	writer.Go(conn.write)
	defer writer.Wait()
	defer conn.close()
	stop := context.AfterFunc(c.done, conn.close)
	defer stop()

	reader := wsutil.Reader{Source: conn.in, State: ws.StateClientSide, CheckUTF8: true}
	var compressed wsflate.MessageState
	if conn.compress {
		reader.State = reader.State.Set(ws.StateExtended)
		reader.Extensions, reader.CheckUTF8 = []wsutil.RecvExtension{&compressed}, false
	}
	for {
		header, err := reader.NextFrame()
		if err != nil {
			return err
		}
		payload, err := io.ReadAll(&reader)
		if err == nil && compressed.IsCompressed() && !header.OpCode.IsControl() {
			payload, err = wsflate.DefaultHelper.Decompress(payload)
		}
		if err != nil {
			return err
		}
		switch header.OpCode {
		case ws.OpPing:
			conn.frame(ws.NewPongFrame(payload))
		case ws.OpPong:
		case ws.OpClose:
			conn.frame(ws.NewCloseFrame(payload))
			return errPeerClosed
		default:
			if err := c.receive(conn, payload); err != nil {
				return err
			}
		}
		if conn.in.Buffered() == 0 {
			c.flush(conn)
		}
	}
}

// gone records the end of a connection, and sends on another one what it left unanswered.
func (c *Client) gone(conn *conn, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, conn)
	c.options.Recorder.Record(history.Event{Kind: history.Close, Conn: conn.number, Reason: err.Error()})
	if c.primary != conn {
		return
	}
	c.primary = nil
	for other := range c.conns {
		c.lead(other)
		break
	}
}

// lead makes conn the one to send on, and sends again on it what was not answered.
func (c *Client) lead(conn *conn) {
	c.primary = conn
	for _, m := range c.pending {
		c.write(m)
	}
}

// Reconnect ends all connections at once, without a closing handshake; those of a client that is not closed come back.
func (c *Client) Reconnect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		if c.random.IntN(2) == 0 {
			conn.reset()
		}
		conn.close()
	}
}

// reset has the connection end with a reset, which also throws away what the server has not read.
func (conn *conn) reset() {
	n := conn.net
	if secure, ok := n.(*tls.Conn); ok {
		n = secure.NetConn()
	}
	if tcp, ok := n.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// text writes one message.
func (conn *conn) text(text []byte) { conn.frame(ws.NewTextFrame(text)) }

// frame hands a frame to the writer. It does not block, so that the reader never waits for the server to read.
func (conn *conn) frame(f ws.Frame) {
	b, err := ws.CompileFrame(ws.MaskFrame(f))
	if err != nil {
		return // a control frame's payload is never too long here
	}
	conn.raw(b, nil)
}

// raw hands bytes to the writer; behind them it calls last, if that is not nil, and writes nothing more.
func (conn *conn) raw(b []byte, last func()) {
	conn.mu.Lock()
	defer conn.mu.Unlock()
	if conn.last == nil {
		conn.out = append(conn.out, b...)
		conn.last = last
		conn.signal()
	}
}

func (conn *conn) signal() {
	select {
	case conn.more <- struct{}{}:
	default:
	}
}

func (conn *conn) write() {
	for range conn.more {
		conn.mu.Lock()
		out, last, closed := conn.out, conn.last, conn.closed
		conn.out = nil
		conn.mu.Unlock()
		if len(out) > 0 {
			if _, err := conn.net.Write(out); err != nil {
				conn.close()
				return
			}
		}
		if closed {
			return
		}
		if last != nil {
			last()
		}
	}
}

// close ends the connection. It may be called twice.
func (conn *conn) close() {
	conn.mu.Lock()
	defer conn.mu.Unlock()
	if !conn.closed {
		conn.closed = true
		_ = conn.net.Close() // it ends either way
		conn.signal()
	}
}
