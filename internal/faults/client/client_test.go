package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"go.uber.org/goleak"

	"github.com/bachata-go/bachata/internal/faults/client"
	"github.com/bachata-go/bachata/internal/faults/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is the server's end of one connection, played by hand.
type peer struct {
	t    *testing.T
	conn net.Conn
}

// newClient starts a client against a server that the test plays: each connection comes out of the channel.
func newClient(t *testing.T) (*client.Client, <-chan *peer, func() []history.Event) {
	t.Helper()
	return newClientWith(t, client.Options{Seed: 1})
}

func newClientWith(t *testing.T, o client.Options) (*client.Client, <-chan *peer, func() []history.Event) {
	t.Helper()
	peers, ended := make(chan *peer), make(chan struct{})
	var handlers sync.WaitGroup
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers.Add(1)
		defer handlers.Done()
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		p := &peer{t, conn}
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Error(err)
		}
		select {
		case peers <- p:
			<-ended
		case <-ended:
		}
		conn.Close()
	}))
	dir := t.TempDir()
	recorder, err := history.Create(dir, history.Header{Client: "anna", Channel: "anna", From: "anna"}, history.NewClock())
	if err != nil {
		t.Fatal(err)
	}
	o.Addr, o.Channel, o.Recorder = strings.TrimPrefix(server.URL, "http://"), "anna", recorder
	c := client.New(o)
	end := sync.OnceFunc(func() {
		c.Close()
		c.Close()
		server.Close() // nobody can connect from now on
		close(ended)
		handlers.Wait()
	})
	t.Cleanup(end)
	return c, peers, func() []history.Event {
		end()
		if err := recorder.Close(); err != nil {
			t.Fatal(err)
		}
		all, err := history.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return all[0].Events
	}
}

func (p *peer) send(text string) {
	p.t.Helper()
	if err := wsutil.WriteServerText(p.conn, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// expect reads one frame, which must hold all parts. (A client that waits for 1000 has sent nothing with its handshake,
// so that nothing is left in the handshake's buffer.)
func (p *peer) expect(parts ...string) {
	p.t.Helper()
	text, err := wsutil.ReadClientText(p.conn)
	for _, part := range parts {
		if err != nil || !strings.Contains(string(text), part) {
			p.t.Fatalf("read %s, %v, want %s in it", text, err, part)
		}
	}
}

const ready = `{"type":1000,"from":"anna"}`

func accept(t *testing.T, peers <-chan *peer) *peer {
	t.Helper()
	select {
	case p := <-peers:
		return p
	case <-time.After(10 * time.Second):
		t.Fatal("the client does not connect")
		return nil
	}
}

func count(events []history.Event, kind history.Kind) int {
	n := 0
	for _, e := range events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// TestSendAgain: what was not answered is sent again on the next connection, in order, and what was answered is not.
func TestSendAgain(t *testing.T) {
	t.Parallel()
	c, peers, events := newClient(t)
	p := accept(t, peers)
	p.send(ready)
	for _, data := range []string{`"one"`, `"two"`, `"three"`} {
		if _, err := c.Send(t.Context(), "bob", []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	p.expect(`"one"`, `"dest":"bob"`)
	p.expect(`"two"`)
	p.expect(`"three"`)
	p.send(`{"type":100,"data":"1"}`)
	c.Reconnect()
	p = accept(t, peers)
	p.send(ready)
	// The 100 may have come or not.
	text, err := wsutil.ReadClientText(p.conn)
	if err == nil && strings.Contains(string(text), `"one"`) {
		text, err = wsutil.ReadClientText(p.conn)
	}
	if err != nil || !strings.Contains(string(text), `"two"`) {
		t.Fatalf("read %s, %v, want the second message", text, err)
	}
	p.expect(`"three"`)
	p.send(`{"type":100,"data":1,"dup":true}`)
	p.send(`{"type":100,"data":2,"dup":true}`)
	p.send(`{"type":300,"data":"3","from":"bob","dest":"bob","time":1}`) // implies its 100
	if err := c.Answered(t.Context()); err != nil {
		t.Error(err)
	}
	if e := events(); count(e, history.Send) < 5 || count(e, history.Open) != 2 {
		t.Errorf("recorded %d sendings on %d connections, want 5 on 2", count(e, history.Send), count(e, history.Open))
	}
}

// TestUnavailable: what was refused as unavailable is sent again after a while, in order; other refusals are final.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	c, peers, _ := newClient(t)
	p := accept(t, peers)
	p.send(ready)
	for _, data := range []string{`"one"`, `"two"`, `"three"`} {
		if _, err := c.Send(t.Context(), "bob", []byte(data)); err != nil {
			t.Fatal(err)
		}
		p.expect(data)
	}
	p.send(`{"type":400,"data":"2","code":"unavailable","reason":"why"}`)
	p.send(`{"type":400,"data":"1","code":"unavailable","reason":"why"}`)
	p.send(`{"type":400,"data":3,"code":"no_route","reason":"why not"}`)
	p.expect(`"one"`)
	p.expect(`"two"`)
	p.send(`{"type":100,"data":"1"}`)
	p.send(`{"type":100,"data":"2"}`)
	if err := c.Answered(t.Context()); err != nil {
		t.Error(err)
	}
	if c.Refusals("unavailable") != 2 || c.Reason("no_route") != "why not" {
		t.Errorf("%d refusals, the last because %q", c.Refusals("unavailable"), c.Reason("no_route"))
	}
}

// TestRepeats: repeats are confirmed and recorded, and the application sees each message and each receipt once.
func TestRepeats(t *testing.T) {
	t.Parallel()
	c, peers, events := newClient(t)
	for range 2 {
		p := accept(t, peers)
		p.send(ready)
		p.send(`{"id":"a","type":"direct","dest":"anna","data":{"n":1.50},"from":"bob"}`)
		p.expect(`"type":200`, `"a"`)
		p.send(`{"id":"a","type":"direct","dest":"anna","data":{"n":1.50},"from":"carl"}`) // another one
		p.expect(`"type":200`, `"a"`)
		p.send(`{"type":300,"data":"x","from":"bob","dest":"bob","time":1}`)
		p.send(`{"type":1001}`)
		p.expect(`1002`)
		c.Reconnect()
	}
	if c.Seen() != 2 || c.Told() != 1 {
		t.Errorf("the application saw %d messages and %d receipts, want 2 and 1", c.Seen(), c.Told())
	}
	e := events()
	if n := count(e, history.Message); n != 4 || count(e, history.Show) != 2 || count(e, history.Confirm) != 4 {
		t.Errorf("recorded %d messages, %d shown, %d confirmed, want 4, 2, 4", n, count(e, history.Show), count(e, history.Confirm))
	}
	if count(e, history.Receipt) != 2 || count(e, history.Tell) != 1 {
		t.Errorf("recorded %d receipts, told of %d, want 2 and 1", count(e, history.Receipt), count(e, history.Tell))
	}
}

// TestHold: while confirmations are held back none is sent; then all are.
func TestHold(t *testing.T) {
	t.Parallel()
	c, peers, _ := newClient(t)
	c.Hold(true)
	p := accept(t, peers)
	p.send(ready)
	p.send(`{"id":"a","type":"direct","dest":"anna","data":1,"from":"bob"}`)
	if err := c.AwaitSeen(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	p.send(`{"type":1001}`)
	p.expect(`1002`) // and no 200 before it
	c.Hold(false)
	p.expect(`"type":200`)
}

// TestSendWaits: too much unanswered holds Send up, until its context or the client ends.
func TestSendWaits(t *testing.T) {
	t.Parallel()
	c, _, _ := newClient(t)
	for range 256 {
		if _, err := c.Send(t.Context(), "bob", []byte(`1`)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Send(ctx, "bob", []byte(`1`)); !errors.Is(err, context.Canceled) {
		t.Errorf("Send() = %v, want that of its context", err)
	}
	c.Close()
	if _, err := c.Send(t.Context(), "bob", []byte(`1`)); !errors.Is(err, client.ErrClosed) {
		t.Errorf("Send() = %v, want ErrClosed", err)
	}
}

// TestNamed: every 200 says whose message it means, also where several are confirmed at once.
func TestNamed(t *testing.T) {
	t.Parallel()
	c, peers, _ := newClientWith(t, client.Options{Named: true})
	c.Hold(true)
	p := accept(t, peers)
	p.send(ready)
	for _, from := range []string{"bob", "bob", "carl", "bob"} {
		p.send(`{"id":"a","type":"direct","dest":"anna","data":1,"from":"` + from + `"}`)
	}
	if err := c.AwaitSeen(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	p.send(`{"type":1001}`)
	p.expect(`1002`)
	c.Hold(false)
	for left := 4; left > 0; {
		text, err := wsutil.ReadClientText(p.conn)
		if err != nil || !strings.Contains(string(text), `"from":`) {
			t.Fatalf("read %s, %v, want a 200 with a from", text, err)
		}
		left -= strings.Count(string(text), `"a"`)
	}
}

// TestCareless: some confirmations are forgotten, and sent when the client behaves.
func TestCareless(t *testing.T) {
	t.Parallel()
	c, peers, events := newClientWith(t, client.Options{Named: true, Careless: true, Groups: map[string][]string{"team": {"anna", "bob", "carl"}}})
	p := accept(t, peers)
	p.send(ready)
	if _, err := c.Send(t.Context(), "team", []byte(`1`)); err != nil {
		t.Fatal(err)
	}
	const messages = 200
	for i := range messages {
		p.send(fmt.Sprintf(`{"id":"m%d.","type":"direct","dest":"anna","data":1,"from":"bob"}`, i))
	}
	if err := c.AwaitSeen(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
	c.Behave()
	p.send(`{"id":"last","type":"direct","dest":"anna","data":1,"from":"bob"}`)
	confirmed := make(map[int]bool)
	for text := ""; !strings.Contains(text, `"last"`); {
		read, err := wsutil.ReadClientText(p.conn)
		if text = string(read); err != nil {
			t.Fatal(err)
		}
		for i := range messages {
			if strings.Contains(text, `"type":200`) && strings.Contains(text, fmt.Sprintf(`"m%d."`, i)) {
				confirmed[i] = true
			}
		}
	}
	if len(confirmed) != messages {
		t.Errorf("%d of %d messages are confirmed in the end", len(confirmed), messages)
	}
	e := events()
	if i := slices.IndexFunc(e, func(e history.Event) bool { return e.Kind == history.Send }); !slices.Equal(e[i].To, []string{"bob", "carl"}) {
		t.Errorf("what was sent to the group is recorded as meant for %q, want bob and carl", e[i].To)
	}
}

// TestMarkAgain: a mark that finds the inbox full is made again.
func TestMarkAgain(t *testing.T) {
	t.Parallel()
	c, peers, _ := newClient(t)
	p := accept(t, peers)
	p.send(ready)
	marked := make(chan error, 1)
	go func() { marked <- c.Mark(t.Context()) }()
	p.expect(`"mark"`, `1`)
	p.send(`{"type":400,"data":"1","code":"inbox_full","reason":"full"}`)
	p.expect(`"mark"`, `2`)
	p.send(`{"type":100,"data":"2"}`)
	p.send(`{"id":"2","type":"direct","dest":"anna","data":"mark","from":"anna"}`)
	p.send(`{"type":300,"data":"2","from":"anna","dest":"anna","time":1}`)
	if err := <-marked; err != nil {
		t.Error(err)
	}
}
