package proxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/bachata-go/bachata/internal/faults/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connect returns both ends of one connection through a new proxy.
func connect(t *testing.T) (p *proxy.Proxy, client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if p, err = proxy.New(l.Addr().String(), 1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	if client, err = net.Dial("tcp", p.Addr()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	deadline := time.Now().Add(10 * time.Second)
	_, _ = client.SetDeadline(deadline), server.SetDeadline(deadline)
	return p, client, server
}

func pass(t *testing.T, to, from net.Conn, text string) {
	t.Helper()
	if _, err := from.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != text {
		t.Fatalf("read %q, %v, want %q", got, err, text)
	}
}

func TestPass(t *testing.T) {
	t.Parallel()
	p, client, server := connect(t)
	p.Delay(time.Millisecond)
	pass(t, server, client, "there")
	pass(t, client, server, "and back")
	client.Close()
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read %v after the client ended, want EOF", err)
	}
	if p.Total() != 1 {
		t.Errorf("Total() = %d, want 1", p.Total())
	}
}

// TestCut: both sides see the end, after less than what was sent.
func TestCut(t *testing.T) {
	t.Parallel()
	p, client, server := connect(t)
	pass(t, server, client, "whole")
	if n := p.Cut(); n != 1 {
		t.Fatalf("Cut() = %d, want 1", n)
	}
	const sent = 1000
	if _, err := client.Write(bytes.Repeat([]byte("x"), sent)); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(server); len(got) >= 300 {
		t.Errorf("%d of %d bytes came, want less than 300", len(got), sent)
	}
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("the client's half still lives")
	}
}

// TestSilence: nothing is passed on, not even an end, until the server gives up.
func TestSilence(t *testing.T) {
	t.Parallel()
	p, client, server := connect(t)
	pass(t, server, client, "whole")
	gone := p.Silence()
	if _, err := client.Write([]byte("lost")); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if err := server.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if n, err := server.Read(make([]byte, 9)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("read %d bytes, %v, want nothing, not even an end", n, err)
	}
	select {
	case <-gone:
		t.Error("the server has not given up yet")
	default:
	}
	server.Close()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the server gave up, and that was not noticed")
	}
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	p, client, _ := connect(t)
	p.Close()
	p.Close()
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("the connection outlived the proxy")
	}
}
