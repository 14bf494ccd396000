package bachata

import (
	"bufio"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
)

// quietReceiver is a session that answers nothing.
type quietReceiver struct {
	block    time.Duration // that begin takes
	received atomic.Int32
	detached atomic.Bool
}

func (r *quietReceiver) begin(texts [][]byte, _ []Key, _ *atomic.Bool) *intake {
	r.received.Add(int32(len(texts)))
	time.Sleep(r.block)
	return nil
}
func (r *quietReceiver) prove(keys []Key, _ []byte) []Key { return keys }
func (r *quietReceiver) Detach()                          { r.detached.Store(true) }

// open connects a receiver to what it returns, in a synctest bubble.
func open(t *testing.T, h *Handler, r *quietReceiver) net.Conn {
	t.Helper()
	server, client := net.Pipe()
	c := newConn(h, server)
	c.session = r
	if !h.heart.add(c) {
		t.Fatal("the handler takes no connection")
	}
	go c.start(nil)
	return client
}

func heartbeatHandler() *Handler {
	h := &Handler{maxMessage: defaultMaxMessage, MaxPending: 1 << 20}
	h.setTimeouts()
	return h
}

func masked(op ws.OpCode, payload string) []byte {
	return ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(op, true, []byte(payload))))
}

func readControl(r io.Reader) (ws.OpCode, string, error) {
	header, err := ws.ReadHeader(r)
	if err != nil {
		return 0, "", err
	}
	payload := make([]byte, min(header.Length, maxControl))
	_, err = io.ReadFull(r, payload)
	return header.OpCode, string(payload), err
}

// A client whose other end is gone is found within 40 s.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := heartbeatHandler()
		for range 50 {
			var r quietReceiver
			client := open(t, h, &r)
			if _, err := client.Write(masked(ws.OpText, "hi")); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			header, err := ws.ReadHeader(client)
			if d := time.Since(began); err != nil || header.OpCode != ws.OpPing || d < 18*time.Second || d > 27*time.Second {
				t.Fatalf("after %v came %v, %v; want a ping after about 25 s", d, header, err)
			}
			if _, err := ws.ReadHeader(client); err == nil {
				t.Fatal("more than a ping came")
			}
			synctest.Wait()
			if d := time.Since(began); d < 28*time.Second || d > 40*time.Second || !r.detached.Load() {
				t.Fatalf("after %v: detached is %v, want it after at most 40 s", d, r.detached.Load())
			}
			time.Sleep(1234 * time.Millisecond) // so that the next begins at another point of a tick
		}
	})
}

func TestAnsweredPingsKeepAConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := heartbeatHandler()
		var r quietReceiver
		client := open(t, h, &r)
		var pings atomic.Int32
		go func() {
			in := bufio.NewReader(client)
			for {
				header, err := ws.ReadHeader(in) // of a ping that has no payload
				if err != nil {
					return
				}
				if header.OpCode == ws.OpPing {
					pings.Add(1)
					time.Sleep(9 * time.Second) // just in time
					_, _ = client.Write(masked(ws.OpPong, ""))
				}
			}
		}()
		time.Sleep(time.Hour)
		if r.detached.Load() {
			t.Error("a connection that answers pings was ended")
		}
		if n := pings.Load(); n < 3600/36 || n > 3600/27 {
			t.Errorf("%d pings in an hour, want one after about 25 s of silence", n)
		}
		client.Close()
		time.Sleep(10 * time.Second) // until the answer to the last ping fails
	})
}

func TestNoPingsWhileThereIsTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := heartbeatHandler()
		var r quietReceiver
		client := open(t, h, &r)
		var got atomic.Int32
		go func() {
			var b [100]byte
			for {
				n, err := client.Read(b[:])
				if err != nil {
					return
				}
				got.Add(int32(n))
			}
		}()
		for range 100 {
			time.Sleep(15 * time.Second)
			_, _ = client.Write(masked(ws.OpText, "hi"))
		}
		synctest.Wait()
		if n := got.Load(); n != 0 || r.received.Load() != 100 {
			t.Errorf("%d bytes came and %d messages went, want none and 100", n, r.received.Load())
		}
		client.Close()
	})
}

// While the session is busy nothing is read, which says nothing about the client.
func TestBusySessionsAreNotCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := heartbeatHandler()
		r := quietReceiver{block: 10 * time.Minute}
		client := open(t, h, &r)
		_, _ = client.Write(masked(ws.OpText, "hi"))
		time.Sleep(r.block + 15*time.Second) // it is not yet time for a ping
		if r.detached.Load() {
			t.Error("the connection was ended while its session was busy")
		}
		client.Close()
	})
}

// The heartbeat pings a connection once in its interval, connections that began together at different moments.
func TestPingsAreSpread(t *testing.T) {
	t.Parallel()
	b := new(heartbeat)
	b.set(25*time.Second, 10*time.Second)
	b.stop = make(chan struct{}) // it is turned by hand
	const n = 10_000
	for range n {
		c := new(conn)
		c.reader.Store(readerIdle)
		b.add(c)
	}
	most, all := 0, 0
	for range 25 {
		silent, lost := b.turn(nil, nil)
		if len(lost) > 0 {
			t.Fatalf("%d connections are lost before their ping is 10 s old", len(lost))
		}
		for _, c := range silent {
			c.seen.Store(b.now.Load()) // the pong
		}
		most, all = max(most, len(silent)), all+len(silent)
	}
	if all != n || most > n/3 {
		t.Errorf("%d of %d were pinged within 25 s, up to %d in one second; want all, spread over 5 s", all, n, most)
	}
}

func TestHeartbeatOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &Handler{maxMessage: defaultMaxMessage, MaxPending: 1 << 20, PingInterval: -1}
		h.setTimeouts()
		var r quietReceiver
		client := open(t, h, &r)
		time.Sleep(time.Hour)
		if r.detached.Load() {
			t.Error("a silent connection was ended with the heartbeat off")
		}
		client.Close()
	})
}

// heartbeatPair returns a connection with a heartbeat, whose session is r, and its other end.
func heartbeatPair(t *testing.T, r receiver) (*conn, net.Conn) {
	t.Helper()
	h := heartbeatHandler()
	server, client := net.Pipe()
	c := newConn(h, server)
	c.session = r
	if !h.heart.add(c) {
		t.Fatal("the handler takes no connection")
	}
	c.start(nil)
	return c, client
}

// A ping of the session's, the barrier, is the heartbeat's too: no second one is sent while it is not answered, and a
// client that does not answer it is cut.
func TestBarrierIsAHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r quietReceiver
		c, client := heartbeatPair(t, &r)
		barrier := func() {
			t.Helper()
			if err := c.Write(c.AppendPing(nil, []byte("7"))); err != nil {
				t.Fatal(err)
			}
			if op, payload, err := readControl(client); err != nil || op != ws.OpPing || payload != "7" {
				t.Fatalf("the barrier is %v %q, %v", op, payload, err)
			}
		}
		barrier()
		_, _ = client.Write(masked(ws.OpPong, "7"))
		if op, payload, err := readControl(client); err != nil || op != ws.OpPing || payload != "" {
			t.Fatalf("after an answered barrier came %v %q, %v; want a ping", op, payload, err)
		}
		_, _ = client.Write(masked(ws.OpPong, ""))
		barrier()
		began := time.Now()
		if op, payload, err := readControl(client); err == nil {
			t.Errorf("while a barrier was not answered came %v %q, want nothing", op, payload)
		}
		synctest.Wait()
		if d := time.Since(began); d > 40*time.Second || !r.detached.Load() {
			t.Errorf("after %v: detached is %v, want it after at most 40 s", d, r.detached.Load())
		}
	})
}

// A client that reads slowly, has nothing to say and always has something to read is pinged when it has read all, not cut
// before: how slowly it may read is WriteTimeout's to say.
func TestSilentSlowReadersAreNotCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r quietReceiver
		c, client := heartbeatPair(t, &r)
		pinged := make(chan time.Time, 10)
		go func() {
			for {
				header, err := ws.ReadHeader(client)
				if err != nil {
					return
				}
				if header.OpCode == ws.OpPing {
					_, _ = client.Write(masked(ws.OpPong, ""))
					pinged <- time.Now()
				}
				for range header.Length / 1000 {
					time.Sleep(time.Second / 10)
					if _, err := io.CopyN(io.Discard, client, 1000); err != nil {
						return
					}
				}
			}
		}()
		const each, n = 100_000, 60
		for range n { // of 10 s each
			if err := c.Write(c.AppendFrame(nil, make([]byte, each))); err != nil {
				t.Fatal(err)
			}
			if c.Buffered() == 0 {
				t.Fatal("nothing waits for the client")
			}
			time.Sleep(10*time.Second - time.Millisecond)
		}
		time.Sleep(time.Minute)
		if len(pinged) == 0 || r.detached.Load() {
			t.Errorf("a minute after it had read all: %d pings, detached is %v; want some, and false", len(pinged), r.detached.Load())
		}
		client.Close()
		time.Sleep(10 * time.Second)
	})
}
