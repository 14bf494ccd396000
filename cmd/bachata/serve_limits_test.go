package main

import (
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

// pipeListener accepts the connections that are sent to it.
type pipeListener chan net.Conn

func (l pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l pipeListener) Close() error { close(l); return nil }
func (pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// Nobody holds a connection for long who is not let in: not by silence, nor with a header or a body that does not come, nor
// with an answer that is not read. Who is let in stays.
func TestRequestsAreLimited(t *testing.T) {
	t.Parallel()
	const (
		header    = " HTTP/1.1\r\nHost: localhost\r\n"
		page      = "GET /" + header
		handshake = " /messages?channel=anna" + header + "Connection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		length, chunks = "Content-Length: 9\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"
		stays          = time.Hour
	)
	for _, test := range []struct {
		name, first, each string // each is sent every second behind first
		unread            bool
		lasts             time.Duration
	}{
		{"silence", "", "", false, headerTimeout},
		{"a header without end", page, "X: y\r\n", false, headerTimeout},
		{"a body that does not come", page + length, "", false, requestTimeout},
		{"a chunk that does not come", page + chunks, "", false, requestTimeout},
		{"chunks without end", page + chunks, "1\r\nx\r\n", false, requestTimeout},
		{"the body of a POST to the endpoint", "POST" + handshake + length, "", false, requestTimeout},
		{"the body of what is no handshake", "GET /messages" + header + length, "", false, requestTimeout},
		{"the body of a health check", "GET /healthz" + header + length, "", false, requestTimeout},
		{"an answer that is not read", page + "\r\n", page + "\r\n", true, requestTimeout},
		{"silence behind an answer", page + "\r\n", "", false, idleTimeout},
		{"a client that is let in", "GET" + handshake + "\r\n", "\x8a\x80\x00\x00\x00\x00", false, stays},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			limited(t, func(client net.Conn) {
				start := time.Now()
				time.AfterFunc(stays, func() { client.Close() })
				read := make(chan bool)
				go func() {
					defer close(read)
					if !test.unread {
						_, _ = io.Copy(io.Discard, client) // until the connection ends
					}
				}()
				_, err := io.WriteString(client, test.first)
				for err == nil && test.each != "" {
					time.Sleep(time.Second)
					_, err = io.WriteString(client, test.each)
				}
				<-read
				if d := time.Since(start); d < test.lasts || d > test.lasts+time.Second {
					t.Errorf("the connection lasted %v, want %v", d, test.lasts)
				}
			})
		})
	}
}

// limited calls test with a connection to the program's server, in a bubble.
func limited(t *testing.T, test func(client net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		logger := slog.New(slog.DiscardHandler)
		queue := memory.New(nil)
		center := bachata.NewCenter(queue, nil)
		messages := newHandler(new(options), nil, center, logger)
		mux, err := newMux(new(options), nil, messages, newHealth(queue, logger))
		if err != nil {
			t.Fatal(err)
		}
		server, listener, ended := newServer(mux, logger), make(pipeListener), make(chan error)
		go func() { ended <- server.Serve(listener) }()
		client, accepted := net.Pipe()
		listener <- accepted
		test(client)
		client.Close()
		if err := center.Close(); err != nil {
			t.Error(err)
		}
		if err := messages.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-ended
		if err := queue.Close(); err != nil {
			t.Error(err)
		}
	})
}
