//go:build linux

package load

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bachata-go/bachata/bench/internal/wire"
)

// Pairs runs pairs of clients, each sender with so many messages on their way, and counts the cycles: a message is
// accepted, delivered, confirmed and its receipt is back.
type Pairs struct {
	Pairs, Outstanding int
	Dialect            *Dialect
	Cycles             atomic.Int64

	ending  atomic.Bool // no new messages
	senders sync.WaitGroup
	closed  chan struct{}
	all     sync.WaitGroup
	conns   []net.Conn
	failed  atomic.Pointer[error]
}

// client is one connection of a pair.
type client struct {
	net.Conn
	l     *Pairs
	rest  []byte // what came behind the handshake
	name  string
	peer  string
	out   []byte // frames to be written
	lines []byte // texts to be written in one frame
}

func (l *Pairs) dial(addr, name, peer string) (*client, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	l.conns = append(l.conns, c)
	if _, err := c.Write([]byte(wire.Handshake(name))); err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(c, 64<<10)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("shake hands: %w", err)
		}
		if strings.TrimSpace(line) == "" {
			break
		}
	}
	if l.Dialect.Hello != "" {
		if _, err := c.Write(wire.AppendClient(nil, wire.Text, l.Dialect.Hello)); err != nil {
			return nil, err
		}
	}
	// The first frame says that the server is ready.
	if _, err := r.Peek(2); err != nil {
		return nil, fmt.Errorf("wait for the first frame: %w", err)
	}
	rest, _ := r.Peek(r.Buffered())
	return &client{Conn: c, l: l, rest: bytes.Clone(rest), name: name, peer: peer}, nil
}

// Dial opens the connections.
func (l *Pairs) Dial(addr string) (begin func(), err error) {
	l.closed = make(chan struct{})
	var as, bs []*client
	for pair := range l.Pairs {
		a, b := wire.Name('a', pair), wire.Name('b', pair)
		cb, err := l.dial(addr, b, a)
		if err != nil {
			return nil, err
		}
		ca, err := l.dial(addr, a, b)
		if err != nil {
			return nil, err
		}
		as, bs = append(as, ca), append(bs, cb)
	}
	return func() {
		for i := range as {
			l.all.Go(bs[i].receive)
			l.senders.Add(1)
			l.all.Go(func() { as[i].send(i) })
		}
	}, nil
}

// Drain sends nothing new, and returns when all cycles have ended.
func (l *Pairs) Drain() error {
	l.ending.Store(true)
	l.senders.Wait()
	return l.err()
}

// Close ends the connections.
func (l *Pairs) Close() error {
	close(l.closed)
	for _, c := range l.conns {
		_ = c.(*net.TCPConn).SetLinger(0) // leaves no port waiting
		_ = c.Close()
	}
	l.all.Wait()
	return l.err()
}

func (l *Pairs) err() error {
	if err := l.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (c *client) fail(err error) {
	select {
	case <-c.l.closed:
	default:
		c.l.failed.CompareAndSwap(nil, &err)
	}
}

// each calls handle for every message, and writes when what one read brought is done, until the connection ends.
func (c *client) each(handle func(k Kind, text []byte)) {
	d := c.l.Dialect
	buf := append(make([]byte, 0, 256<<10), c.rest...)
	for {
		data := buf
		for {
			opcode, payload, rest, ok := wire.Next(data)
			if !ok {
				break
			}
			data = rest
			if opcode == wire.Ping {
				c.out = wire.AppendClient(c.out, wire.Pong, string(payload))
				continue
			}
			if d.Join == "" {
				c.one(payload, handle)
				continue
			}
			for line := range bytes.SplitSeq(payload, []byte(d.Join)) {
				c.one(line, handle)
			}
		}
		if err := c.flush(); err != nil {
			c.fail(err)
			return
		}
		buf = append(buf[:0], data...)
		n, err := c.Read(buf[len(buf):cap(buf)])
		if err != nil {
			c.fail(err)
			return
		}
		buf = buf[:len(buf)+n]
	}
}

func (c *client) one(text []byte, handle func(k Kind, text []byte)) {
	switch k := c.l.Dialect.kind(text); k {
	case pinged:
		c.say(string(text))
	case refused:
		c.fail(fmt.Errorf("refused: %s", text))
	default:
		handle(k, text)
	}
}

func (c *client) say(text string) { c.out, c.lines = c.l.Dialect.appendText(c.out, c.lines, text) }

func (c *client) flush() error {
	if len(c.lines) > 0 {
		c.out = wire.AppendClient(c.out, wire.Text, string(c.lines))
		c.lines = c.lines[:0]
	}
	if len(c.out) == 0 {
		return nil
	}
	_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, err := c.Write(c.out)
	c.out = c.out[:0]
	return err
}

func (c *client) send(pair int) {
	ended := sync.OnceFunc(c.l.senders.Done)
	defer ended()
	next, onTheirWay := pair<<40, 0
	send := func() {
		next++
		onTheirWay++
		c.say(c.l.Dialect.Message(c.name, c.peer, next))
	}
	for range c.l.Outstanding {
		send()
	}
	if err := c.flush(); err != nil {
		c.fail(err)
		return
	}
	c.each(func(k Kind, _ []byte) {
		if k != Receipt {
			return
		}
		c.l.Cycles.Add(1)
		onTheirWay--
		if !c.l.ending.Load() {
			send()
		} else if onTheirWay == 0 {
			ended() // pings are answered all the same
		}
	})
}

func (c *client) receive() {
	c.each(func(k Kind, text []byte) {
		if k == Delivered {
			c.say(c.l.Dialect.Confirm(c.peer, c.l.Dialect.IDOf(text)))
		}
	})
}
