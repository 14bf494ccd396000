package bachata

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
)

// blockingReceiver is a session whose hooks wait.
type blockingReceiver struct {
	quietReceiver
	entered chan bool
	release chan bool
}

func (r *blockingReceiver) begin(_ [][]byte, _ []Key, inHook *atomic.Bool) *intake {
	if inHook != nil {
		inHook.Store(true)
		defer inHook.Store(false)
	}
	r.entered <- true
	<-r.release
	return nil
}

// immediateQueue says of itself that it never waits.
type immediateQueue struct{ Queue }

func (immediateQueue) Info() Info                               { return Info{Immediate: true} }
func (immediateQueue) Watch(string, func(Wake)) (func(), error) { return func() {}, nil }

func (immediateQueue) Fetch(context.Context, string, Cursor, Limit) ([]Envelope, error) {
	return nil, nil
}

// tcpPair returns both ends of a connection.
func tcpPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// pollPair returns a polled connection, whose session is r, and its other end.
func pollPair(t *testing.T, h *Handler, r receiver) (*conn, net.Conn) {
	t.Helper()
	server, client := tcpPair(t)
	c := newConn(h, server)
	if c.stream != nil {
		t.Fatal("the connection is not polled")
	}
	c.session = r
	if !h.heart.add(c) {
		t.Fatal("the handler takes no connection")
	}
	c.start(nil)
	return c, client
}

func pollHandler(t *testing.T) *Handler {
	h := heartbeatHandler()
	h.Center = NewCenter(immediateQueue{}, nil)
	t.Cleanup(func() { _ = h.Center.Close() })
	return h
}

// While a hook blocks, the worker's place is taken by another, and connections are handled by the pool; its goroutines
// are used again, and none is left when the last connection has gone.
func TestHeldUpWorker(t *testing.T) {
	t.Parallel()
	h := pollHandler(t)
	blocked := &blockingReceiver{entered: make(chan bool), release: make(chan bool)}
	_, slow := pollPair(t, h, blocked)
	var quick []net.Conn
	for range 10 {
		var r quietReceiver
		_, c := pollPair(t, h, &r)
		quick = append(quick, c)
	}
	h.poller.mu.Lock()
	m := &h.poller.epoll.monitor
	h.poller.mu.Unlock()
	if m.dispatching() {
		t.Error("the pool is used before anything was held up")
	}
	wake := m.sleep()
	if _, err := slow.Write(masked(ws.OpText, "hi")); err != nil {
		t.Fatal(err)
	}
	<-blocked.entered
	wake()
	answered := func() {
		t.Helper()
		for i, c := range quick {
			in := fmt.Sprint("ping ", i)
			if _, err := c.Write(masked(ws.OpPing, in)); err != nil {
				t.Fatal(err)
			}
			if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			out := make([]byte, 2+len(in))
			if _, err := io.ReadFull(c, out); err != nil || string(out[2:]) != in {
				t.Fatalf("client %d was answered %q, %v; want a pong", i, out, err)
			}
		}
	}
	answered()
	if m.until.Load() == 0 {
		t.Error("the pool is not used while a hook blocks")
	}
	m.until.Store(time.Now().Add(time.Hour).UnixNano()) // however long the test takes
	answered()
	rest := func() int {
		h.poller.hands.mu.Lock()
		defer h.poller.hands.mu.Unlock()
		return len(h.poller.hands.idle)
	}
	for deadline := time.Now().Add(20 * time.Second); rest() == 0; time.Sleep(time.Millisecond / 4) {
		if time.Now().After(deadline) {
			t.Fatal("no goroutine of the pool rests")
		}
	}
	if n := rest(); n > 10 {
		t.Errorf("%d goroutines of the pool rest, want one for each client at most", n)
	}
	blocked.release <- true
	slow.Close()
	for _, c := range quick {
		c.Close()
	}
	<-doneOf(h)
}

// sleep has the monitor not look until wake is called: the worker of a machine that is busy may be held up before a hook
// does that.
func (m *monitor) sleep() (wake func()) {
	m.runs.Store(true) // as if it did
	return func() {
		m.runs.Store(false)
		m.watch()
	}
}

// doneOf returns what is closed when the last connection of h has gone.
func doneOf(h *Handler) <-chan struct{} {
	_, empty := h.heart.close()
	return empty
}

// The goroutines of the pool that have nothing to do end, the others stay.
func TestIdleHandsEnd(t *testing.T) {
	t.Parallel()
	var p hands
	var ran atomic.Int32
	for range 3 {
		h := &hand{work: make(chan *conn, 1)}
		if !p.rest(h) {
			t.Fatal("a goroutine is to end while the pool is open")
		}
		go func() {
			if c := <-h.work; c == nil {
				ran.Add(1)
			}
		}()
	}
	p.reap() // at first all have worked since
	if len(p.idle) != 3 {
		t.Errorf("%d rest, want 3", len(p.idle))
	}
	p.least = 1 // two of them had work meanwhile
	p.reap()
	if len(p.idle) != 2 {
		t.Errorf("%d rest, want 2", len(p.idle))
	}
	p.close()
	if len(p.idle) != 0 {
		t.Errorf("%d rest in a closed pool", len(p.idle))
	}
}

// A timer that was stopped too late meets a pool that has been opened again.
func TestReapAfterAnotherOpening(t *testing.T) {
	t.Parallel()
	var p hands
	p.rest(&hand{work: make(chan *conn, 1)})
	p.reap() // it had nothing to do, and would end at the next one
	p.close()
	p.open()
	p.reap()
}

// What is held back for the end of a batch is written also if that end does not come.
func TestHeldWritesBecomeOverdue(t *testing.T) {
	t.Parallel()
	h := pollHandler(t)
	c, client := pollPair(t, h, &quietReceiver{})
	defer client.Close()
	h.poller.cork.open(1)
	defer h.poller.cork.close()
	if err := c.Write(c.AppendFrame(nil, []byte("hello"))); err != nil {
		t.Fatal(err)
	}
	_ = client.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(client, make([]byte, len("..hello"))); err != nil {
		t.Errorf("read what was written in a batch that does not end: %v", err)
	}
}

// batchQueue takes everything, and what is put in a batch is safe at once.
type batchQueue struct{ immediateQueue }

func (batchQueue) Info() Info     { return Info{} }
func (q batchQueue) Batch() Batch { return q }

func (batchQueue) Wait(context.Context) error { return nil }

func (batchQueue) Put(_ context.Context, items []Item) ([]PutResult, error) {
	return slices.Repeat([]PutResult{{Stored}}, len(items)), nil
}

// A worker that a hook holds up owes answers to those who came before in its batch, and has others to read from: both
// are seen to meanwhile.
func TestHeldUpWorkerOwes(t *testing.T) {
	t.Parallel()
	h := heartbeatHandler()
	h.Center = NewCenter(batchQueue{}, nil)
	t.Cleanup(func() { _ = h.Center.Close() })
	if err := h.Center.AddRoute(Direct()); err != nil {
		t.Fatal(err)
	}
	blocked := &blockingReceiver{entered: make(chan bool), release: make(chan bool)}
	slow, slowClient := pollPair(t, h, blocked)
	clients := []net.Conn{slowClient}
	batch := []ready{{conn: slow, claimed: true}}
	for i := range 4 {
		c, client := pollPair(t, h, nil)
		s, err := h.Center.Attach(c, Identity{Channel: fmt.Sprint("quick", i)})
		if err != nil {
			t.Fatal(err)
		}
		c.session = s
		clients = append(clients, client)
		batch = append(batch, ready{conn: c, claimed: true})
	}
	batch[0], batch[2] = batch[2], batch[0] // two before the slow one, and two behind it
	h.poller.mu.Lock()
	e := h.poller.epoll
	h.poller.mu.Unlock()
	wake := e.monitor.sleep()
	w := e.monitor.add(true) // that is given its batch by hand
	for _, r := range batch {
		for !r.conn.claim() { // until nobody else reads from it
			time.Sleep(time.Millisecond)
		}
	}
	w.again = append(w.again, batch[4].conn)
	copy(w.batch[:], batch[:4])
	for i, client := range clients {
		text := fmt.Sprintf(`{"id":"%d","type":"direct","dest":"bob"}`, i)
		if _, err := client.Write(masked(ws.OpText, text)); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan int)
	go func() { ended <- w.handle(4) }()
	<-blocked.entered
	wake()
	for i, client := range clients[1:] {
		in := bufio.NewReader(client)
		_ = client.SetReadDeadline(time.Now().Add(20 * time.Second))
		for _, want := range []string{`{"type":1000`, fmt.Sprintf(`{"type":100,"data":"%d"}`, i+1)} {
			h, err := ws.ReadHeader(in)
			payload := make([]byte, h.Length)
			if err == nil {
				_, err = io.ReadFull(in, payload)
			}
			if err != nil || !strings.HasPrefix(string(payload), want) {
				t.Errorf("while a hook blocked, client %d was sent %s, %v, want %s", i, payload, err, want)
			}
		}
	}
	blocked.release <- true
	if <-ended >= 0 {
		t.Error("the worker goes on, though others have taken its place")
	}
	for _, client := range clients {
		client.Close()
	}
	<-doneOf(h)
}

// A worker loses its place after a tick if a hook holds it up or if it only owes answers, and later if it is just busy.
func TestHeldUp(t *testing.T) {
	t.Parallel()
	const first, all = batchOne | 3<<begunBits | 1, batchOne | 3<<begunBits | 4 // of three, and past them
	for _, test := range []struct {
		name   string
		at     uint64
		inHook bool
		ticks  int // at the same place, until it is held up
	}{
		{"busy", first, false, busyTicks},
		{"in a hook", first, true, 1},
		{"answering", all, false, 1},
	} {
		var w pollWorker
		w.inHook.Store(test.inHook)
		ticks := 0
		for !w.heldUp(test.at) {
			if ticks++; ticks > 2*busyTicks {
				break
			}
		}
		if ticks != test.ticks {
			t.Errorf("%s: held up after %d ticks, want %d", test.name, ticks, test.ticks)
		}
		if w.heldUp(test.at + batchOne) {
			t.Errorf("%s: held up though it went on", test.name)
		}
	}
}

// When more connections are readable than one batch takes, a second worker helps if there is a processor for it, and ends
// when there is nothing left. None is taken to be free while as many threads run as there are; but not for ever.
func TestSecondWorker(t *testing.T) {
	t.Parallel()
	many := runtime.GOMAXPROCS(0) > 1
	for _, test := range []struct {
		name     string
		idle     bool
		restless time.Duration
		want     bool
	}{
		{"an idle processor", true, 0, many},
		{"none", false, -time.Hour, false}, // however long the test takes
		{"none for long", false, restlessTime, many},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			testSecondWorker(t, test.idle, test.restless, test.want)
		})
	}
}

func testSecondWorker(t *testing.T, idle bool, restless time.Duration, want bool) {
	h := pollHandler(t)
	h.poller.idle = func() bool { return idle }
	busy := &busyReceiver{entered: make(chan bool), release: make(chan bool)}
	_, first := pollPair(t, h, busy)
	h.poller.mu.Lock()
	m := &h.poller.epoll.monitor
	h.poller.mu.Unlock()
	m.sleep() // nobody takes the worker's place
	clients := []net.Conn{first}
	receivers := make([]quietReceiver, 2*batchEvents)
	for i := range receivers {
		_, c := pollPair(t, h, &receivers[i])
		clients = append(clients, c)
	}
	for i, c := range clients {
		if _, err := c.Write(masked(ws.OpText, "hi")); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			<-busy.entered
			m.restless.Store(time.Now().Add(-restless).UnixNano())
		}
	}
	busy.release <- true
	for i := range receivers {
		for deadline := time.Now().Add(20 * time.Second); receivers[i].received.Load() == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("what client %d sent was not handled", i)
			}
		}
	}
	seen := func() (running int, ended bool) {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.workers), m.spare != nil
	}
	running, ended := seen()
	for deadline := time.Now().Add(20 * time.Second); want && (running > 1 || !ended) && time.Now().Before(deadline); running, ended = seen() {
		time.Sleep(time.Millisecond)
	}
	if running != 1 || ended != want {
		t.Errorf("%d workers run and one has come and gone: %v, want 1 and %v", running, ended, want)
	}
	for deadline := time.Now().Add(20 * time.Second); m.restless.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a worker with nothing to do has not rested")
		}
	}
	for _, c := range clients {
		c.Close()
	}
	<-doneOf(h)
}

// Where no processor seems idle, another worker is started when there was something to do for a second without a pause.
func TestRestless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		idle := false
		m := &monitor{e: &epoll{idle: func() bool { return idle }}}
		for round := range 2 {
			for _, step := range []struct {
				wait time.Duration
				want bool
			}{{0, false}, {restlessTime - 1, false}, {1, true}, {restlessTime, true}} {
				time.Sleep(step.wait)
				if got := m.mayHelp(); got != step.want {
					t.Errorf("round %d, %v later: a worker may help: %v, want %v", round, step.wait, got, step.want)
				}
			}
			m.rest()
		}
		if idle = true; !m.mayHelp() {
			t.Error("no worker may help though a processor is idle")
		}
	})
}

// busyReceiver is a session that takes its time, without a hook.
type busyReceiver struct {
	quietReceiver
	entered chan bool
	release chan bool
}

func (r *busyReceiver) begin([][]byte, []Key, *atomic.Bool) *intake {
	r.entered <- true
	<-r.release
	return nil
}

// OnClose is a hook like others: while it waits, connections are handled by the pool.
func TestHeldUpByOnClose(t *testing.T) {
	t.Parallel()
	h := pollHandler(t)
	entered, release := make(chan bool), make(chan bool)
	h.OnClose = func(*Session) {
		entered <- true
		<-release
	}
	c, client := pollPair(t, h, nil)
	other, _ := pollPair(t, h, &quietReceiver{}) // so that the epoll stays
	h.poller.mu.Lock()
	m := &h.poller.epoll.monitor
	h.poller.mu.Unlock()
	s, err := h.Center.Attach(c, Identity{Channel: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.session = s
	c.mu.Unlock()
	wake := m.sleep()
	client.Close()
	<-entered
	wake()
	for deadline := time.Now().Add(20 * time.Second); m.until.Load() == 0; time.Sleep(time.Millisecond / 4) {
		if time.Now().After(deadline) {
			t.Error("the pool is not used while OnClose blocks")
			break
		}
	}
	release <- true
	other.cut(nil)
	<-doneOf(h)
}

// A worker that has lost its place while it waits for the disk holds no buffer: while a disk does not come back, there are
// many of them.
func TestAnsweringHoldsNoBuffer(t *testing.T) {
	t.Parallel()
	h := pollHandler(t)
	_, client := pollPair(t, h, &quietReceiver{})
	h.poller.mu.Lock()
	e := h.poller.epoll
	h.poller.mu.Unlock()
	w := e.monitor.add(true)
	w.at.Store(batchOne | 1<<begunBits | 2)
	e.monitor.watch()
	for w.at.Load()&retired == 0 {
		time.Sleep(monitorTick)
	}
	e.monitor.mu.Lock()
	if w.input != nil {
		t.Error("the worker has kept its buffer")
	}
	e.monitor.mu.Unlock()
	client.Close()
	<-doneOf(h)
}
