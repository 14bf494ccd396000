package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// load runs pairs of clients, each sender with so many messages on their way, and counts the cycles: a message is
// accepted, delivered, confirmed and its receipt is back.
type load struct {
	pairs, outstanding int
	cycles             atomic.Int64
	stop               chan struct{}
	wait               sync.WaitGroup
	failed             atomic.Pointer[error]
}

func dial(addr, name string) (net.Conn, *bufio.Reader, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	_, err = fmt.Fprintf(c, "GET /messages?channel=%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", name, addr)
	if err != nil {
		return nil, nil, err
	}
	r := bufio.NewReaderSize(c, 64<<10)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, nil, fmt.Errorf("handshake: %w", err)
		}
		if strings.TrimSpace(line) == "" {
			return c, r, nil
		}
	}
}

func (l *load) start(addr string) error {
	l.stop = make(chan struct{})
	for pair := range l.pairs {
		b, br, err := dial(addr, fmt.Sprintf("b%04d", pair))
		if err != nil {
			return err
		}
		a, ar, err := dial(addr, fmt.Sprintf("a%04d", pair))
		if err != nil {
			return err
		}
		l.wait.Go(func() { l.receiver(b, br) })
		l.wait.Go(func() { l.sender(a, ar, pair) })
		go func() {
			<-l.stop
			_ = a.Close()
			_ = b.Close()
		}()
	}
	return nil
}

func (l *load) end() error {
	close(l.stop)
	l.wait.Wait()
	if err := l.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (l *load) fail(err error) {
	select {
	case <-l.stop:
	default:
		l.failed.CompareAndSwap(nil, &err)
	}
}

// frames calls handle for every frame, and flush when what one read brought is done.
func (l *load) frames(c net.Conn, r *bufio.Reader, handle func(opcode byte, payload []byte), flush func() error) {
	buf := make([]byte, 0, 256<<10)
	if n := r.Buffered(); n > 0 {
		rest, _ := r.Peek(n)
		buf = append(buf, rest...)
	}
	for {
		data := buf
		for {
			opcode, payload, rest, ok := nextFrame(data)
			if !ok {
				break
			}
			handle(opcode, payload)
			data = rest
		}
		if err := flush(); err != nil {
			l.fail(err)
			return
		}
		buf = append(buf[:0], data...)
		n, err := c.Read(buf[len(buf):cap(buf)])
		if err != nil {
			l.fail(err)
			return
		}
		buf = buf[:len(buf)+n]
	}
}

var (
	prefixReceipt = []byte(`{"type":300`)
	prefixMessage = []byte(`{"id":`)
	prefixRefused = []byte(`{"type":4`)
)

func (l *load) sender(c net.Conn, r *bufio.Reader, pair int) {
	var out []byte
	next := pair << 40
	send := func(n int) {
		for range n {
			next++
			out = appendClientFrame(out, messageText(pair, next))
		}
	}
	send(l.outstanding)
	l.frames(c, r, func(opcode byte, payload []byte) {
		switch {
		case opcode == 9:
			out = appendPong(out, payload)
		case bytes.HasPrefix(payload, prefixReceipt):
			l.cycles.Add(1)
			send(1)
		case bytes.HasPrefix(payload, prefixRefused):
			l.fail(fmt.Errorf("refused: %s", payload))
		}
	}, func() error { return write(c, &out) })
}

func (l *load) receiver(c net.Conn, r *bufio.Reader) {
	var out []byte
	l.frames(c, r, func(opcode byte, payload []byte) {
		switch {
		case opcode == 9:
			out = appendPong(out, payload)
		case bytes.HasPrefix(payload, prefixMessage):
			out = appendClientFrame(out, `{"type":200,"data":"`+string(payload[idAt:idAt+idDigits])+`"}`)
		}
	}, func() error { return write(c, &out) })
}

func appendPong(dst, payload []byte) []byte {
	dst = append(dst, 0x8a, 0x80|byte(len(payload)), 0x11, 0x22, 0x33, 0x44)
	return append(dst, masked(string(payload))...)
}

func write(c net.Conn, out *[]byte) error {
	if len(*out) == 0 {
		return nil
	}
	_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, err := c.Write(*out)
	*out = (*out)[:0]
	return err
}
