package transcript

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/gobwas/ws"
)

// event is one thing that the server did to a connection.
type event struct {
	op   ws.OpCode // of a whole message or a control frame; opEnd when nothing more can come
	text string
	err  error // with opEnd
}

const opEnd ws.OpCode = 0xff

// String describes the event for an error.
func (e event) String() string {
	switch e.op {
	case opEnd:
		return fmt.Sprintf("the end of the connection (%v)", e.err)
	case ws.OpClose:
		return fmt.Sprintf("a close with code %d", closeCode(e.text))
	case ws.OpPong:
		return fmt.Sprintf("a WebSocket pong %q", e.text)
	}
	return shorten(e.text)
}

func closeCode(payload string) int {
	if len(payload) < 2 {
		return 1005 // RFC 6455, section 7.1.5: none given
	}
	return int(binary.BigEndian.Uint16([]byte(payload)))
}

// conn is one connection. Its methods are for one goroutine, the player's; a reader and a writer run beside it, so that
// neither side can hold up the other however much is sent in one go.
type conn struct {
	net     net.Conn
	channel string
	events  *line[event]  // what came, but for pings
	pings   *line[string] // pings that wait to be answered, while pongs are off
	out     *line[[]byte]
	ended   sync.WaitGroup

	mu      sync.Mutex
	noPongs bool

	held    []byte // what hold gathers
	holding bool
}

// dial opens a WebSocket, which answers pings from the start unless noPongs is set. A handshake that was refused is returned
// as ws.StatusError.
func dial(ctx context.Context, url, channel string, header http.Header, noPongs bool) (*conn, error) {
	d := ws.Dialer{Header: ws.HandshakeHeaderHTTP(header)}
	n, br, _, err := d.Dial(ctx, url)
	if err != nil {
		return nil, err
	}
	if br == nil {
		br = bufio.NewReader(n)
	}
	c := &conn{net: n, channel: channel, noPongs: noPongs, events: newLine[event](), pings: newLine[string](), out: newLine[[]byte]()}
	c.ended.Go(func() { c.read(br) })
	c.ended.Go(c.write)
	return c, nil
}

// halfClose ends this side after everything that was sent, so that none of it is lost: a connection that is closed
// with something unread is reset, and a reset throws away what the other side has not read.
func (c *conn) halfClose(ctx context.Context) error {
	if err := c.out.drained(ctx); err != nil {
		return err
	}
	if n, ok := c.net.(interface{ CloseWrite() error }); ok {
		return n.CloseWrite()
	}
	return errors.New("the connection can't be closed on one side")
}

// shut ends the connection without a closing handshake and waits for its goroutines.
func (c *conn) shut() {
	c.out.close()
	_ = c.net.Close() // the connection ends either way
	c.ended.Wait()
}

// send writes one frame, or keeps it until flush.
func (c *conn) send(f ws.Frame) error {
	b, err := ws.CompileFrame(ws.MaskFrame(f))
	if err != nil {
		return err
	}
	c.raw(b)
	return nil
}

func (c *conn) raw(b []byte) {
	if c.holding {
		c.held = append(c.held, b...)
		return
	}
	c.out.put(b)
}

func (c *conn) hold() { c.holding = true }

func (c *conn) flush() {
	c.holding = false
	c.out.put(c.held)
	c.held = nil
}

func (c *conn) pongs(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noPongs = !on
}

// pong answers the next ping that carries something: the delivery barrier.
func (c *conn) pong(ctx context.Context) error {
	for {
		payload, err := c.pings.take(ctx)
		if err != nil {
			return err
		}
		if err := c.send(ws.NewPongFrame([]byte(payload))); err != nil {
			return err
		}
		if payload != "" {
			return nil
		}
	}
}

func (c *conn) write() {
	for {
		b, err := c.out.take(context.Background())
		if err != nil {
			return
		}
		_, err = c.net.Write(b)
		c.out.done()
		if err != nil {
			c.out.close() // the reader reports the end
			return
		}
	}
}

func (c *conn) read(r io.Reader) {
	defer c.events.close()
	defer c.pings.close()
	var message []byte
	var op ws.OpCode
	for {
		f, err := c.frame(r)
		if err != nil {
			c.events.put(event{op: opEnd, err: err})
			return
		}
		switch f.Header.OpCode {
		case ws.OpPing:
			c.answer(f.Payload)
		case ws.OpPong:
			c.events.put(event{op: ws.OpPong, text: string(f.Payload)})
		case ws.OpClose:
			c.events.put(event{op: ws.OpClose, text: string(f.Payload)})
			if b, err := ws.CompileFrame(ws.MaskFrame(ws.NewCloseFrame(f.Payload))); err == nil {
				c.out.put(b)
			}
		default:
			if f.Header.OpCode != ws.OpContinuation {
				op, message = f.Header.OpCode, nil
			}
			message = append(message, f.Payload...)
			if f.Header.Fin {
				c.events.put(event{op: op, text: string(message)})
			}
		}
	}
}

// frame reads one frame and refuses what a server must not send (RFC 6455, sections 5.1 and 5.2).
func (c *conn) frame(r io.Reader) (ws.Frame, error) {
	h, err := ws.ReadHeader(r)
	if err != nil {
		return ws.Frame{}, err
	}
	if h.Length > maxFill {
		return ws.Frame{}, fmt.Errorf("the server announced a frame of %d bytes", h.Length)
	}
	f := ws.Frame{Header: h, Payload: make([]byte, h.Length)}
	_, err = io.ReadFull(r, f.Payload)
	switch {
	case err != nil:
		return f, err
	case f.Header.Masked:
		return f, errors.New("the server masked a frame")
	case f.Header.Rsv != 0:
		return f, errors.New("the server set a reserved bit")
	case f.Header.OpCode == ws.OpBinary:
		return f, errors.New("the server sent a binary frame")
	}
	return f, nil
}

func (c *conn) answer(payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.noPongs {
		c.pings.put(string(payload))
		return
	}
	if b, err := ws.CompileFrame(ws.MaskFrame(ws.NewPongFrame(payload))); err == nil {
		c.out.put(b)
	}
}
