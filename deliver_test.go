package bachata_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
)

const (
	hi   = `{"id":"1","type":"direct","dest":"bob","data":"hi"}`
	hiAt = `{"id":"1","type":"direct","dest":"bob","data":"hi","from":"anna"}`
	got1 = `{"type":200,"data":"1"}`
	ok1  = `{"type":100,"data":"1"}`
	tick = `{"type":300,"data":"1","from":"bob","dest":"bob","time":0}`
)

func TestDelivery(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(hi)
		anna.expect(ok1)
		bob.expect(hiAt)
		bob.send(got1)
		bob.expect()
		anna.expect(tick)
		if n := c.Online("bob"); n != 1 {
			t.Errorf("Online(bob) = %d, want 1", n)
		}
	})
}

func TestDeliveryAfterReconnect(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna := connect(t, c, "anna")
		anna.send(hi, strings.Replace(hi, `"1"`, `"2"`, 1))
		anna.expect(ok1, `{"type":100,"data":"2"}`)
		second := strings.Replace(hiAt, `"1"`, `"2"`, 1)
		bob := connect(t, c, "bob")
		bob.expect(hiAt, second)
		bob.send(got1)
		bob.session.Detach()
		bob = connect(t, c, "bob")
		bob.expect(second)
	})
}

func TestReceiptLeavesOnlyWhenItArrived(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		bob := connect(t, c, "bob")
		anna := connect(t, c, "anna")
		anna.send(hi)
		bob.send(got1)
		anna.expect(ok1, tick)
		if ping := anna.lastPing(); ping != "" {
			t.Errorf("ping %q right behind a receipt, want it after a second", ping)
		}
		anna.session.Pong([]byte("1")) // unsolicited
		anna.session.Detach()

		anna = connect(t, c, "anna")
		anna.expect(tick) // again: nobody knows that it arrived
		time.Sleep(2 * time.Second)
		anna.session.Pong([]byte("999"))
		anna.pong()
		anna.session.Detach()
		anna = connect(t, c, "anna")
		anna.expect()
		time.Sleep(2 * time.Second)
		if ping := anna.lastPing(); ping != "" {
			t.Errorf("ping %q while nothing is unproven", ping)
		}
	})
}

func TestBarrierComesAtOnceBehindManyReceipts(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		for i := range 300 {
			anna.send(fmt.Sprintf(`{"id":%d,"type":"direct","dest":"bob"}`, i+1))
			bob.send(fmt.Sprintf(`{"type":200,"data":%d}`, i+1))
		}
		anna.take()
		anna.pong() // 256 of them are behind it
		time.Sleep(2 * time.Second)
		anna.pong()
		anna.session.Detach()
		connect(t, c, "anna").expect()
	})
}

// In a small window few receipts are many: they do not wait for the delay while others wait behind them.
func TestBarrierComesAtOnceInASmallWindow(t *testing.T) {
	t.Parallel()
	for _, window := range []int{1, 2, 3, 5, 100} {
		t.Run(fmt.Sprint(window), func(t *testing.T) {
			t.Parallel()
			bubble(t, &bachata.Options{Window: bachata.Limit{Messages: window}}, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
				anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
				for i := range 300 {
					anna.send(fmt.Sprintf(`{"id":%d,"type":"direct","dest":"bob"}`, i+1))
					bob.send(fmt.Sprintf(`{"type":200,"data":%d}`, i+1))
				}
				began, receipts := time.Now(), 0
				for receipts < 300 && time.Since(began) < time.Hour {
					receipts += strings.Count(strings.Join(anna.take(), ""), `"type":300`)
					if ping := anna.lastPing(); ping != "" {
						anna.session.Pong([]byte(ping))
					} else if receipts < 300 {
						time.Sleep(time.Millisecond)
					}
				}
				if took := time.Since(began); receipts != 300 || took > 0 {
					t.Errorf("%d receipts were written in %v, want 300 at once", receipts, took)
				}
			})
		})
	}
}

// What waits behind a receipt waits for the client, not for the delay: who answers pings is not closed for a full window.
func TestLargeMessageBehindAReceipt(t *testing.T) {
	t.Parallel()
	o := &bachata.Options{Window: bachata.Limit{Bytes: 100}, WindowTimeout: 100 * time.Millisecond, CloseOnWindowTimeout: true}
	bubble(t, o, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(hi)
		bob.send(got1)
		anna.expect(ok1, tick)
		large := fmt.Sprintf(`{"id":"1","type":"direct","dest":"anna","data":%q,"from":"bob"}`, strings.Repeat("x", 100))
		bob.send(large)
		anna.pong()
		anna.expect(large)
		time.Sleep(time.Second)
		anna.expect()
		if code := anna.closeCode(); code != 0 {
			t.Errorf("anna was closed with %d", code)
		}
	})
}

func TestMessageWithoutID(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(`{"type":"direct","dest":"bob"}`)
		anna.expect()
		bob.expect(`{"type":"direct","dest":"bob","from":"anna"}`)
		time.Sleep(2 * time.Second)
		bob.pong()
		bob.session.Detach()
		connect(t, c, "bob").expect()
	})
}

func TestWindow(t *testing.T) {
	t.Parallel()
	o := &bachata.Options{Window: bachata.Limit{Messages: 2, Bytes: 1000}}
	bubble(t, o, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		var sent []string
		for i := range 4 {
			sent = append(sent, fmt.Sprintf(`{"id":%d,"type":"direct","dest":"bob","from":"anna"}`, i+1))
		}
		anna.send(sent...)
		bob.expect(sent[:2]...)
		time.Sleep(59 * time.Second)
		bob.expect()
		time.Sleep(2 * time.Second)
		full := `{"type":400,"data":null,"code":"window_full","reason":"too much is unconfirmed on this connection; confirm with 200 to get more"}`
		bob.expect(full)
		time.Sleep(5 * time.Minute)
		bob.expect() // told once
		bob.send(`{"type":200,"data":2}`)
		bob.expect(sent[2])
		bob.send(`{"type":200,"data":[1,3]}`)
		bob.expect(sent[3])
	})
}

func TestWindowBytes(t *testing.T) {
	t.Parallel()
	o := &bachata.Options{Window: bachata.Limit{Messages: 10, Bytes: 100}}
	bubble(t, o, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		small := `{"id":1,"type":"direct","dest":"bob","from":"anna"}`
		large := `{"id":2,"type":"direct","dest":"bob","from":"anna","data":"` + strings.Repeat("x", 200) + `"}`
		last := `{"id":3,"type":"direct","dest":"bob","from":"anna"}`
		anna.send(small, large, last)
		bob.expect(small)
		bob.send(`{"type":200,"data":1}`)
		bob.expect(large) // alone
		bob.send(`{"type":200,"data":2}`)
		bob.expect(last)
	})
}

func TestWindowTimeoutCloses(t *testing.T) {
	t.Parallel()
	o := &bachata.Options{Window: bachata.Limit{Messages: 1}, CloseOnWindowTimeout: true}
	bubble(t, o, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(hi, strings.Replace(hi, `"1"`, `"2"`, 1))
		time.Sleep(61 * time.Second)
		if code := bob.closeCode(); code != bachata.CloseStopped {
			t.Errorf("close code %d, want %d", code, bachata.CloseStopped)
		}
		if n := c.Online("bob"); n != 0 {
			t.Errorf("Online(bob) = %d after the close, want 0", n)
		}
	})
}

func TestLostWakeUpsAreSwept(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, q *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		q.loseWakes.Store(true)
		anna.send(hi)
		bob.expect()
		time.Sleep(3 * time.Minute)
		bob.expect(hiAt)
	})
}

// Wake-ups that come while the pump writes are merged: the last must not hide what the others were for.
func TestWakeUpsDuringAWrite(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		gate, entered := bob.holdUp()
		message := func(id string) []byte { return []byte(strings.Replace(hi, `"1"`, `"`+id+`"`, 1)) }
		received := make(chan struct{})
		go func() {
			defer close(received)
			anna.session.Receive([][]byte{message("1")})
		}()
		<-entered
		carl := connect(t, c, "carl")
		carl.session.Receive([][]byte{message("2"), message("3")})
		close(gate)
		<-received
		if got := bob.take(); len(got) != 3 {
			t.Errorf("bob was written %d of 3: %q", len(got), got)
		}
	})
}

// A message that a wake-up brought is not all when a later wake-up showed that others are missing.
func TestWakeUpIsLostDuringAWrite(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, q *faultyQueue) {
		anna, bob, carl := connect(t, c, "anna"), connect(t, c, "bob"), connect(t, c, "carl")
		gate, entered := bob.holdUp()
		message := func(id string) string { return strings.Replace(hi, `"1"`, `"`+id+`"`, 1) }
		received := make(chan struct{})
		go func() {
			defer close(received)
			anna.session.Receive([][]byte{[]byte(message("1"))})
		}()
		<-entered
		carl.session.Receive([][]byte{[]byte(message("2"))})
		q.loseWakes.Store(true)
		carl.session.Receive([][]byte{[]byte(message("3"))})
		q.loseWakes.Store(false)
		carl.session.Receive([][]byte{[]byte(message("4"))})
		close(gate)
		<-received
		if got := bob.take(); len(got) != 4 {
			t.Errorf("bob was written %d of 4: %q", len(got), got)
		}
	})
}

// A wake-up carries no promise: every inbox is read once in SweepEvery, however many sockets there are.
func TestSweepReadsEveryInbox(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, q *faultyQueue) {
		q.loseWakes.Store(true)
		var peers []*peer
		var channels []string
		for i := range 1000 {
			peers = append(peers, connect(t, c, fmt.Sprint("c", i)))
			channels = append(channels, fmt.Sprint("c", i))
		}
		m, err := bachata.MakeMessage(bachata.Draft{Type: "x"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if _, err := c.Send(t.Context(), m, channels...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		for i, p := range peers {
			if got := p.take(); len(got) != 1 {
				t.Fatalf("socket %d was written %q after two sweeps", i, got)
			}
		}
	})
}

func TestReceiptStaysWhenItsWriteFails(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, bob := &socket{}, connect(t, c, "bob")
		var err error
		if anna.session, err = c.Attach(broken{anna}, bachata.Identity{Channel: "anna"}); err != nil {
			t.Fatal(err)
		}
		anna.session.Receive([][]byte{[]byte(hi)})
		bob.send(got1)
		anna.session.Detach()
		connect(t, c, "anna").expect(tick)
	})
}

// broken is a socket without a barrier that fails to write receipts.
type broken struct{ *socket }

func (s broken) Write(frames []byte) error {
	if strings.Contains(string(frames), `"type":300`) {
		return errors.New("closed")
	}
	return s.socket.Write(frames)
}

func TestFetchIsTriedAgain(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, q *faultyQueue) {
		anna := connect(t, c, "anna")
		anna.send(hi)
		q.fetchFails.Store(true)
		bob := connect(t, c, "bob")
		bob.expect()
		q.fetchFails.Store(false)
		time.Sleep(5 * time.Second)
		bob.expect(hiAt)
	})
}

func TestIdentityExpires(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		p := attach(t, c, bachata.Identity{Channel: "bob", Expires: time.Now().Add(time.Minute)})
		time.Sleep(59 * time.Second)
		if code := p.closeCode(); code != 0 {
			t.Fatalf("closed (%d) before it expired", code)
		}
		time.Sleep(2 * time.Second)
		if code := p.closeCode(); code != bachata.CloseUnauthenticated {
			t.Errorf("close code %d, want %d", code, bachata.CloseUnauthenticated)
		}
	})
}

func TestEphemeral(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(`{"id":"1","type":"direct","dest":"bob","ephemeral":true}`, `{"type":"direct","dest":"carl","ephemeral":true}`)
		anna.expect()
		bob.expect(`{"id":"1","type":"direct","dest":"bob","ephemeral":true,"from":"anna"}`)
		connect(t, c, "bob").expect()
		connect(t, c, "carl").expect()
	})
}

func TestSocketWithoutBarrier(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		bob := connect(t, c, "bob")
		anna := &peer{t: t, socket: &socket{}}
		anna.session, _ = c.Attach(anna.socket, bachata.Identity{Channel: "anna"})
		anna.take()
		anna.send(hi)
		bob.send(got1)
		anna.expect(ok1, tick)
		anna.session.Detach()
		connect(t, c, "anna").expect()
	})
}

func TestAttachRefusesBadIdentities(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		for _, id := range []bachata.Identity{
			{},
			{Channel: strings.Repeat("x", 256)},
			{Channel: "a\xff"},
			{Channel: "a", From: strings.Repeat("x", 256)},
		} {
			if _, err := c.Attach(&socket{}, id); err == nil {
				t.Errorf("Attach(%+v) succeeded", id)
			}
		}
	})
}

// stuckQueue answers no Fetch of one channel.
type stuckQueue struct {
	bachata.Queue
	channel string
	stuck   atomic.Bool
}

func (q *stuckQueue) Fetch(ctx context.Context, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
	if channel == q.channel && q.stuck.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return q.Queue.Fetch(ctx, channel, after, limit)
}

// A sweep that waits for the inbox of one channel holds up no other's.
func TestSweepHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	stuck := func(inner bachata.Queue) *stuckQueue { return &stuckQueue{Queue: inner, channel: "stuck"} }
	bubbleIn(t, nil, nil, stuck, func(t *testing.T, c *bachata.Center, q *stuckQueue) {
		connect(t, c, "stuck")
		var peers []*peer
		for i := range 300 {
			peers = append(peers, connect(t, c, fmt.Sprint("c", i)))
		}
		q.stuck.Store(true)
		time.Sleep(3 * time.Minute) // everybody was to be swept
		m, err := bachata.MakeMessage(bachata.Draft{Type: "x"})
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range peers {
			if _, err := c.Send(t.Context(), m, fmt.Sprint("c", i)); err != nil {
				t.Fatal(err)
			}
			if got := p.take(); len(got) != 1 {
				t.Fatalf("socket %d was written %q while the sweep waits for another", i, got)
			}
		}
	})
}
