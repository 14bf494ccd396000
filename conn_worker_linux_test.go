package bachata

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// A client that ends its own side of the stream, without a close frame, while output waits for it, gets all of it.
func TestPolledReaderEndsItsSide(t *testing.T) {
	t.Parallel()
	var r quietReceiver
	c, nc := pollPair(t, pollHandler(t), &r)
	client := nc.(*net.TCPConn)
	defer client.Close()
	if err := client.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := client.SetReadBuffer(16 << 10); err != nil {
		t.Fatal(err)
	}
	state := func() (waits int, sees bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.unsent(), c.closed || c.paused
	}
	c.mu.Lock()
	err := syscall.SetsockoptInt(int(c.fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 16<<10)
	c.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.Repeat([]byte("output"), pauseAt/6)
	if err := c.Write(out); err != nil {
		t.Fatal(err)
	}
	if waits, _ := state(); waits == 0 {
		t.Fatal("the kernel took all")
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for _, sees := state(); !sees; _, sees = state() {
		runtime.Gosched()
	}
	if got, err := io.ReadAll(client); err != nil || !bytes.Equal(got, out) {
		t.Errorf("%d bytes came, and %v; want all %d", len(got), err, len(out))
	}
	for !r.detached.Load() {
		runtime.Gosched()
	}
}
