package bachata

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"
)

// corked is a connection of which nobody reads, with a cork that the test opens and closes, and the client's end.
type corked struct {
	*conn
	t      *testing.T
	client int32
}

func newCorked(t *testing.T) *corked {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	x := &corked{&conn{h: untimed(), fd: int32(fds[0])}, t, int32(fds[1])}
	t.Cleanup(func() {
		for _, fd := range fds {
			_ = syscall.Close(fd)
		}
	})
	return x
}

// untimed returns a handler of which no timer writes what is held back, however slow the test is.
func untimed() *Handler {
	h := &Handler{}
	h.poller.cork.timer = time.AfterFunc(time.Hour, func() {})
	return h
}

// batch calls do in a batch of so many events, in which no span ends, however slow the test is.
func (x *corked) batch(events int, do func()) { x.batchAt(events, time.Now().Add(time.Hour), do) }

// spanEnds has a span end with a batch of so many events.
func (x *corked) spanEnds(events int) { x.batchAt(events, time.Time{}, func() {}) }

func (x *corked) batchAt(events int, turned time.Time, do func()) {
	k := &x.h.poller.cork
	k.open(events)
	do()
	k.mu.Lock()
	k.turned = turned
	k.mu.Unlock()
	k.close()
}

func (x *corked) answers() { x.must(x.answer([]byte("answer "))) }
func (x *corked) writes()  { x.must(x.Write([]byte("message "))) }

func (x *corked) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

// got checks what one read of the client returns.
func (x *corked) got(want string) {
	x.t.Helper()
	b := make([]byte, 1024)
	n, err := readNow(x.client, b)
	if err != nil && err != syscall.EAGAIN {
		x.t.Fatal(err)
	}
	if got := string(b[:n]); got != want {
		x.t.Errorf("the client got %q, want %q", got, want)
	}
}

// An answer of a batch that is not small goes out with what the client is written next.
func TestAnswerWaits(t *testing.T) {
	t.Parallel()
	const events = fewEvents + 1
	t.Run("for what is written next", func(t *testing.T) {
		x := newCorked(t)
		x.batch(events, x.answers)
		x.got("")
		x.batch(events, x.answers)
		x.got("")
		x.batch(events, x.writes)
		x.got("answer answer message ")
		x.batch(events, x.answers) // and is held back again
		x.got("")
	})
	t.Run("not when a message is before it", func(t *testing.T) {
		x := newCorked(t)
		x.batch(events, func() { x.writes(); x.answers() })
		x.got("message answer ")
	})
	t.Run("not when a message is behind it", func(t *testing.T) {
		x := newCorked(t)
		x.batch(events, func() { x.answers(); x.writes(); x.answers() })
		x.got("answer message answer ")
	})
	t.Run("not when a message is written outside a batch", func(t *testing.T) {
		x := newCorked(t)
		x.batch(events, x.answers)
		x.writes()
		x.got("answer message ")
		x.answers()
		x.got("answer ")
	})
	t.Run("not when a shared frame is before it", func(t *testing.T) {
		x := newCorked(t)
		x.batch(events, func() { x.must(x.share(&held{b: []byte("shared "), shared: true})); x.answers() })
		x.got("shared answer ")
	})
	t.Run("for a shared frame", func(t *testing.T) {
		x := newCorked(t)
		x.batch(events, x.answers)
		x.batch(1, func() { x.must(x.share(&held{b: []byte("shared "), shared: true})) })
		x.got("answer shared ")
	})
	t.Run("not in a small batch", func(t *testing.T) {
		x := newCorked(t)
		x.batch(fewEvents, x.answers)
		x.got("answer ")
	})
	t.Run("not when there is nothing to do", func(t *testing.T) {
		x := newCorked(t)
		x.batch(events, x.answers)
		x.h.poller.cork.rest()
		x.got("answer ")
	})
	t.Run("not when it is overdue", func(t *testing.T) {
		x := newCorked(t)
		x.batch(events, x.answers)
		x.h.poller.cork.overdue()
		x.got("answer ")
	})
	t.Run("not when much of it waits", func(t *testing.T) {
		x := newCorked(t)
		x.batch(events, x.answers)
		x.must(x.answer(make([]byte, mostCork)))
		x.got("answer " + string(make([]byte, 1024-len("answer "))))
	})
	t.Run("for two spans at most", func(t *testing.T) {
		x := newCorked(t)
		x.batch(events, x.answers)
		x.got("")
		x.spanEnds(events)
		x.got("")
		x.batch(events, x.answers) // which is appended
		x.got("")
		x.spanEnds(events)
		x.got("answer answer ")
		x.batch(events, x.answers)
		x.got("")
	})
}

// Answers of both spans go when there is nothing to do, and each is written once.
func TestAnswersOfBothSpans(t *testing.T) {
	t.Parallel()
	const events = fewEvents + 1
	x, y := newCorked(t), newCorked(t)
	y.h = x.h
	k := &x.h.poller.cork
	for range 3 {
		x.batch(events, x.answers)
		x.spanEnds(events)
		x.batch(events, y.answers)
		x.got("")
		y.got("")
		k.rest()
		x.got("answer ")
		y.got("answer ")
	}
}

// The pool's answers don't wait: nobody may be there who finds nothing to do.
func TestAnswersOfThePool(t *testing.T) {
	t.Parallel()
	x := newCorked(t)
	x.batch(fewEvents+1, func() {})
	x.cork()
	x.answers()
	x.uncork()
	x.got("answer ")
}

// A connection for which more than answers are held back is to be written once, however much is added.
func TestCorkedOnce(t *testing.T) {
	t.Parallel()
	x := newCorked(t)
	k := &x.h.poller.cork
	count := func(want int) {
		t.Helper()
		k.mu.Lock()
		defer k.mu.Unlock()
		if len(k.conns) != want {
			t.Errorf("%d connections are to be written, want %d", len(k.conns), want)
		}
	}
	x.batch(fewEvents+1, func() {
		x.answers()
		count(0)
		for range 3 {
			x.writes()
			count(1)
		}
	})
	x.got("answer message message message ")
	x.batch(fewEvents+1, func() {
		x.must(x.share(&held{b: []byte("shared "), shared: true}))
		for range 3 {
			x.answers()
			x.writes()
			count(1)
		}
	})
	x.got("shared answer message answer message answer message ")
}

// What is held back is written before the connection is closed, for a client that has ended its side at once.
func TestAnswerBeforeTheEnd(t *testing.T) {
	t.Parallel()
	h := pollHandler(t)
	c, client := pollPair(t, h, &quietReceiver{})
	defer client.Close()
	k := &h.poller.cork
	k.open(fewEvents + 1)
	err := c.answer([]byte("answer "))
	c.mu.Lock()
	c.close(nil)
	c.mu.Unlock()
	k.close()
	_ = client.SetReadDeadline(time.Now().Add(10 * time.Second))
	if b, readErr := io.ReadAll(client); err != nil || readErr != nil || string(b) != "answer " {
		t.Errorf("the client got %q, %v; %v", b, readErr, err)
	}
}

// An answer waits no longer when no worker ends a batch or finds nothing to do, but only goroutines of the pool write to others.
// Each of them puts off the timer.
func TestAnswerWaitsNotForWorkers(t *testing.T) {
	t.Parallel()
	x, other := newCorked(t), newCorked(t)
	other.h = x.h
	k := &x.h.poller.cork
	x.batch(fewEvents+1, x.answers)
	x.got("")
	for range 2 {
		other.cork()
		other.writes()
		k.mu.Lock()
		k.turned = time.Time{}
		k.mu.Unlock()
		other.uncork()
		other.got("message ")
	}
	x.got("answer ")
}

// Many whose answers are held back don't keep each other waiting: those past the bound go out at the end of their batch.
func TestManyAnswers(t *testing.T) {
	t.Parallel()
	first := newCorked(t)
	all := []*corked{first}
	for range manyCorked {
		x := newCorked(t)
		x.h = first.h
		all = append(all, x)
	}
	first.batch(fewEvents+1, func() {
		for _, x := range all {
			x.answers()
		}
	})
	for i, x := range all {
		if i < manyCorked {
			x.got("")
		} else {
			x.got("answer ")
		}
	}
	first.h.poller.cork.rest()
	for _, x := range all[:manyCorked] {
		x.got("answer ")
	}
}

// Also an answer in a batch that never ends goes out, by the clock.
func TestAnswerBecomesOverdue(t *testing.T) {
	t.Parallel()
	x := newCorked(t)
	x.h.poller.cork.timer = nil
	x.h.poller.cork.open(fewEvents + 1)
	defer x.h.poller.cork.close()
	x.answers()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		b := make([]byte, 64)
		if n, _ := readNow(x.client, b); n > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("an answer is held back for ever")
		}
	}
}

// Over TLS too, an answer waits as a record of its own.
func TestAnswerWaitsOverTLS(t *testing.T) {
	t.Parallel()
	x, client := newCorkedTLS(t)
	nothing := func() {
		t.Helper()
		if n, _ := unread(client.NetConn()); n > 0 {
			t.Errorf("%d bytes of what is held back came", n)
		}
	}
	const events = fewEvents + 1
	x.batch(events, x.answers)
	nothing()
	x.batch(events, x.writes)
	b := make([]byte, len("answer message "))
	if _, err := io.ReadFull(client, b); err != nil || string(b) != "answer message " {
		t.Errorf("the client got %q, %v", b, err)
	}
	x.batch(events, x.answers)
	nothing()
	x.h.poller.cork.rest()
	if _, err := io.ReadFull(client, b[:len("answer ")]); err != nil {
		t.Error(err)
	}
}

// newCorkedTLS is newCorked for a connection that has shaken hands.
func newCorkedTLS(t *testing.T) (*corked, *tls.Conn) {
	t.Helper()
	other := httptest.NewTLSServer(nil) // which has a certificate
	defer other.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	x := &corked{&conn{h: untimed()}, t, -1}
	w := &wire{tcp: accepted.(*net.TCPConn)}
	x.tls = tls.Server(w, &tls.Config{Certificates: other.TLS.Certificates})
	client := tls.Client(dialed, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}) // it is not sent tickets later on
	t.Cleanup(func() {
		_ = dialed.Close()
		_ = syscall.Close(int(x.fd))
	})
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	x.must(x.tls.Handshake())
	x.must(<-done)
	x.must(rawConn(w).Control(func(fd uintptr) { x.fd, err = duplicate(fd) }))
	x.must(err)
	_ = w.tcp.Close()
	w.tcp, w.conn = nil, x.conn
	return x, client
}

// unread returns how many bytes of a connection are there to be read.
func unread(nc net.Conn) (n int, err error) {
	raw := rawConn(nc)
	b := make([]byte, 1024)
	if failed := raw.Control(func(fd uintptr) {
		n, _, err = syscall.Recvfrom(int(fd), b, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	}); failed != nil {
		err = failed
	}
	return n, err
}
