package bachata

import (
	"io"
	"net"
	"testing"
	"time"
)

// readSome reads of client until its kernel takes more of what the server's keeps, though too little for the server to be told.
func readSome(t *testing.T, client net.Conn, untaken func() int) {
	t.Helper()
	const some = 128 << 10
	full := untaken()
	for deadline := time.Now().Add(20 * time.Second); untaken() > full-some; {
		if time.Now().After(deadline) {
			t.Fatalf("of %d bytes %d are still not taken", full, untaken())
		}
		if _, err := io.CopyN(io.Discard, client, 16<<10); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // nothing tells when the kernels are done
	}
}

// A client that has read what it has to in WriteTimeout is not cut, though the kernel has not said that it takes more: it
// does when a third of its buffer is free.
func TestSlowReaderOfMuchIsNotCut(t *testing.T) {
	t.Parallel()
	t.Run("polled", func(t *testing.T) {
		t.Parallel()
		h := pollHandler(t)
		h.WriteTimeout = time.Hour
		var r quietReceiver
		c, client := pollPair(t, h, &r)
		defer client.Close()
		if err := c.Write(make([]byte, 16<<20)); err != nil {
			t.Fatal(err)
		}
		readSome(t, client, func() int {
			c.mu.Lock()
			defer c.mu.Unlock()
			return int(c.ask(untaken))
		})
		c.mu.Lock()
		before := c.unsent()
		c.out.due = time.Now()
		c.mu.Unlock()
		c.overdue()
		c.mu.Lock()
		defer c.mu.Unlock()
		if after := c.unsent(); c.closed || after > before-flushSize {
			t.Errorf("closed is %v, and of %d bytes %d are still to be sent; want false, and less", c.closed, before, after)
		}
	})
	t.Run("parked", func(t *testing.T) {
		t.Parallel()
		server, client := tcpPair(t)
		defer client.Close()
		defer server.Close()
		s := newStream(server)
		full := &output{b: make([]byte, 16<<20)}
		if err := s.raw.Write(full.tryWrite); err != nil || len(full.b) == 0 {
			t.Fatalf("of what fills the kernel %d bytes are left, and %v", len(full.b), err)
		}
		readSome(t, client, func() int { return int(s.ask(untaken)) })
		if err := s.write(make([]byte, flushSize), 0); err != nil {
			t.Errorf("a write that the kernel would take ends with %v", err)
		}
	})
}
