package bachata_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/bachata-go/bachata"
)

// muchKept is one text that the kernel of these tests' server keeps, and much more than that of the client does.
const muchKept = 2 << 20

// slowReader is a client that says nothing, and for which the kernel keeps much. The heartbeat is turned by hand, so that no
// time passes but what a test lets pass.
type slowReader struct {
	*client
	h      *bachata.Handler
	s      *bachata.Session
	closed chan bool
	taken  int // by the client's kernel, a moment after the heartbeat looked
}

// onSlowReader runs test for each driver, with a client that was pinged behind much that it did not read.
func onSlowReader(t *testing.T, test func(t *testing.T, r *slowReader)) {
	t.Helper()
	for name, serve := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &slowReader{closed: make(chan bool, 1)}
			opened := make(chan *bachata.Session, 1)
			url := serve(t, nil, func(h *bachata.Handler) {
				r.h = h
				h.PingInterval = -1 // never, but by hand: after a tick
				h.PongTimeout, h.WriteTimeout = 80*time.Second, 10*time.Second
				h.OnOpen = func(s *bachata.Session, _ *http.Request) { opened <- s }
				h.OnClose = func(*bachata.Session) { r.closed <- true }
			})
			r.client = tightClient(t, url)
			r.s = <-opened
			r.more(muchKept)
			eventually(t, "the client is pinged, and known to have much to take before that", func() bool {
				bachata.Beat(r.h, 1)
				return bachata.Awaited(r.h) == 1
			})
			r.taken = bachata.Taken(r.s)
			test(t, r)
		})
	}
}

// more has n bytes more written to the client, which the kernel keeps.
func (r *slowReader) more(n int) {
	r.t.Helper()
	bachata.Write(r.s, bytes.Repeat([]byte("x"), n))
	eventually(r.t, "the kernel keeps all", func() bool {
		own, _ := bachata.Kept(r.s)
		return own == 0
	})
}

// take reads until the client's kernel has taken so much since the heartbeat looked, or until rest, what is to be read, is
// read.
func (r *slowReader) take(least int, rest io.Reader) {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for bachata.Taken(r.s) < r.taken+least {
		_, err := io.CopyN(io.Discard, rest, 16<<10)
		if err == io.EOF {
			break
		}
		if err != nil {
			r.t.Fatalf("read: %v", err)
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("the client's kernel took %d bytes in %v", bachata.Taken(r.s)-r.taken, patience)
		}
	}
}

// overdue lets the time pass after which a pong is late.
func (r *slowReader) overdue() {
	bachata.Beat(r.h, bachata.Patience(r.h))
	r.taken = bachata.Taken(r.s)
}

// expectCut checks that the connection was cut by now, and that nothing is kept of it, by the server's kernel neither.
func (r *slowReader) expectCut() {
	r.t.Helper()
	if !bachata.Ended(r.s) {
		r.t.Fatal("the connection is not cut")
	}
	<-r.closed
	eventually(r.t, "nothing is kept of the connection", func() bool {
		state := r.state()
		if state != "" && state != established {
			r.t.Fatalf("the server's kernel has the connection in state %q, want it forgotten", state)
		}
		return state == "" && bachata.Awaited(r.h) == 0
	})
}

// expectReset checks that the client is told so, and is not sent what was kept for it.
func (r *slowReader) expectReset() {
	r.t.Helper()
	r.expectCut()
	n, err := io.Copy(io.Discard, r.below())
	if !errors.Is(err, syscall.ECONNRESET) || n > muchKept/2 {
		r.t.Errorf("of the stream came %d bytes more, and %v; want a reset before most of it", n, err)
	}
}

func (r *slowReader) below() *net.TCPConn {
	if secure, ok := r.Conn.(*tls.Conn); ok {
		return secure.NetConn().(*net.TCPConn)
	}
	return r.Conn.(*net.TCPConn)
}

// A client on a slow line answers a ping when all that stands before it has come, however often the pong was due.
func TestSlowReaderMayAnswerLate(t *testing.T) {
	t.Parallel()
	onSlowReader(t, func(t *testing.T, r *slowReader) {
		h, err := ws.ReadHeader(r.r)
		if err != nil || h.Length != muchKept {
			t.Fatalf("first came %+v, %v; want a text of %d bytes", h, err, muchKept)
		}
		rest := &io.LimitedReader{R: r.r, N: h.Length}
		times := 0
		for ; rest.N > 0; times++ {
			r.take(bachata.LeastTaken(r.h)+100, rest) // of which the ping is a part at the end
			if rest.N > 0 {
				r.overdue()
			}
		}
		if times < 3 {
			t.Errorf("the pong was due %d times, want it due more often", times)
		}
		r.expect(ping)
		r.write(join(frame(fin|pong, ""), texts(note)))
		if got := r.text(); got != accepted {
			t.Errorf("behind its pong, a client was answered %s, want %s", got, accepted)
		}
		r.overdue()
		if n := bachata.Awaited(r.h); n != 0 {
			t.Errorf("of %d clients is kept what they had to take before their pong, want 0", n)
		}
	})
}

// A client that reads nothing is cut when its pong is late.
func TestStoppedReaderIsCutInTime(t *testing.T) {
	t.Parallel()
	onSlowReader(t, func(t *testing.T, r *slowReader) {
		bachata.Beat(r.h, bachata.Patience(r.h)-1)
		if bachata.Ended(r.s) {
			t.Fatal("the client was cut before its pong was late")
		}
		bachata.Beat(r.h, 1)
		r.expectReset()
	})
}

// A client that reads, but less than it has to, is cut the next time that its pong is due.
func TestTricklingReaderIsCut(t *testing.T) {
	t.Parallel()
	onSlowReader(t, func(t *testing.T, r *slowReader) {
		r.take(bachata.LeastTaken(r.h), r.r)
		r.overdue()
		r.take(bachata.LeastTaken(r.h)/8, r.r)
		r.overdue()
		r.expectReset()
	})
}

// A client that reads all, and answers nothing, is not waited for because of what is written behind the ping.
func TestReaderThatDoesNotAnswerIsCut(t *testing.T) {
	t.Parallel()
	onSlowReader(t, func(t *testing.T, r *slowReader) {
		least := bachata.LeastTaken(r.h)
		_, kept := bachata.Kept(r.s)
		for range kept/least + 1 {
			r.more(least)
			r.take(least, r.r)
			if r.overdue(); bachata.Ended(r.s) {
				r.expectCut()
				return
			}
		}
		t.Errorf("of %d bytes a client had to take %d in time; it took more than that %d times, and was not cut", kept, least, kept/least+1)
	})
}

// A client whose other end is gone is cut when its pong is late, or, if it had begun to take what stands before the ping, at
// the next time. Then the kernel keeps nothing for it any more.
func TestHalfOpenReaderIsCut(t *testing.T) {
	t.Parallel()
	for name, begins := range map[string]bool{"at once": false, "after some time": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onSlowReader(t, func(t *testing.T, r *slowReader) {
				if begins {
					r.take(bachata.LeastTaken(r.h), r.r)
					r.overdue()
				}
				r.vanish()
				if state := r.state(); state != established {
					t.Errorf("the server's kernel has the connection in state %q, want %q", state, established)
				}
				r.overdue()
				r.expectCut()
			})
		})
	}
}

// vanish has nothing more come to the client's kernel: it drops what is sent to it before anything is done with it.
func (r *slowReader) vanish() {
	r.t.Helper()
	raw, err := r.below().SyscallConn()
	if err != nil {
		r.t.Fatal(err)
	}
	drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop})
	}); err != nil || failed != nil {
		r.t.Fatalf("filter what comes: %v, %v", err, failed)
	}
}

const established = "01" // as enum tcp_state of linux/net/tcp_states.h has it

// state returns in which state the server's kernel has the connection; none if it does not know it.
func (r *slowReader) state() string {
	r.t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		r.t.Fatal(err)
	}
	port := func(a net.Addr) string { return fmt.Sprintf(":%04X", a.(*net.TCPAddr).Port) }
	server, client := port(r.below().RemoteAddr()), port(r.below().LocalAddr())
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 3 && strings.HasSuffix(f[1], server) && strings.HasSuffix(f[2], client) {
			return f[3]
		}
	}
	return ""
}
