package interop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/bachata-go/bachata"
)

// chat returns about n bytes of text that compresses as chats do.
func chat(n int) string {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	words := strings.Fields("the of and to in is you that it he was for on are as with his they at be this have from 水 été 😀")
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(words[r.IntN(len(words))])
		b.WriteByte(' ')
	}
	return b.String()
}

// A message goes to the client itself and comes back as it was, it is confirmed, and the receipt comes.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	onEach(t, &bachata.Options{MaxMessage: 1 << 20, BarrierDelay: 10 * time.Millisecond},
		func(t *testing.T, s *server, mode websocket.CompressionMode) {
			c := dial(t, s, "anna", mode)
			for i, size := range []int{0, 1, 20, 63, 64, 65, 125, 126, 127, 300, 1000, 4000, 20_000, 65_500, 66_000, 150_000, 900_000} {
				roundTrip(t, c, fmt.Sprintf(`{"id":"%d","type":"direct","dest":"anna","data":"%s"}`, i, chat(size)), fmt.Sprint(i), c.send)
			}
			settled(t, s, c, "anna")
		})
}

// roundTrip has send send a message and follows it.
func roundTrip(t *testing.T, c *client, message, id string, send func(string) error) {
	t.Helper()
	if err := send(message); err != nil {
		t.Fatal(err)
	}
	whole := strings.TrimSuffix(message, "}") + `,"from":"anna"}`
	if err := c.expect(`{"type":100,"data":"`+id+`"}`, whole); err != nil {
		t.Fatalf("message %s of %d bytes: %v", id, len(message), err)
	}
	if err := c.send(`{"type":200,"data":"` + id + `"}`); err != nil {
		t.Fatal(err)
	}
	if err := c.expect(`{"type":300,"data":"` + id + `","from":"anna"`); err != nil {
		t.Fatalf("receipt of %s: %v", id, err)
	}
}

// settled waits until the inbox of c is empty. A receipt leaves it when the client has answered the ping behind it, which
// it does while it reads.
func settled(t *testing.T, s *server, c *client, channel string) {
	t.Helper()
	c.CloseRead(c.ctx)
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		left, err := s.queue.Fetch(t.Context(), channel, 0, bachata.Limit{Messages: 10, Bytes: 1 << 20})
		if err == nil && len(left) == 0 {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%d entries are left of %s, %v", len(left), channel, err)
		}
	}
}

// Fragments are as many as the client makes of its writes.
func TestFragments(t *testing.T) {
	t.Parallel()
	onEach(t, nil, func(t *testing.T, s *server, mode websocket.CompressionMode) {
		c := dial(t, s, "anna", mode)
		for i, size := range []int{1, 7, 100, 5000} {
			message := fmt.Sprintf(`{"id":"%d","type":"direct","dest":"anna","data":"%s"}`, i, chat(10*size+50))
			roundTrip(t, c, message, fmt.Sprint(i), func(text string) error {
				w, err := c.Writer(c.ctx, websocket.MessageText)
				if err != nil {
					return err
				}
				for len(text) > 0 {
					n := min(size, len(text))
					if _, err := io.WriteString(w, text[:n]); err != nil {
						return err
					}
					text = text[n:]
				}
				return w.Close()
			})
		}
	})
}

// Pings of the client are answered, between messages and while it sends.
func TestPings(t *testing.T) {
	t.Parallel()
	onEach(t, nil, func(t *testing.T, s *server, mode websocket.CompressionMode) {
		c := dial(t, s, "anna", mode)
		var reading, pinging sync.WaitGroup
		const n = 50
		answered := make(chan error, 1)
		reading.Go(func() {
			var err error
			for i := 0; i < n && err == nil; i++ {
				err = c.expect(fmt.Sprintf(`{"type":100,"data":%d}`, i+1))
			}
			answered <- err
			_, _ = c.text() // reads on, so that pongs are seen
		})
		pinging.Go(func() {
			for range n {
				if err := c.Ping(c.ctx); err != nil {
					t.Errorf("ping: %v", err)
					return
				}
			}
		})
		for i := range n {
			if err := c.send(fmt.Sprintf(`{"id":%d,"type":"direct","dest":"bob","data":"%s"}`, i+1, chat(10*i))); err != nil {
				t.Fatal(err)
			}
		}
		pinging.Wait()
		if err := <-answered; err != nil {
			t.Error(err)
		}
		_ = c.CloseNow()
		reading.Wait()
	})
}

// The closing handshake, from either side.
func TestClose(t *testing.T) {
	t.Parallel()
	codes := []websocket.StatusCode{1000, 1001, 1008, 1011, 1013, 3000, 4000, 4999}
	onEach(t, nil, func(t *testing.T, s *server, mode websocket.CompressionMode) {
		for _, code := range codes {
			c := dial(t, s, "anna", mode)
			<-s.opened
			if err := c.Close(code, "bye"); err != nil {
				t.Errorf("Close(%d) = %v", code, err)
			}
			<-s.closed

			c = dial(t, s, "anna", mode)
			(<-s.opened).Close(bachata.CloseCode(code), "see you")
			_, err := c.text()
			if e, ok := errors.AsType[websocket.CloseError](err); !ok || e.Code != code || e.Reason != "see you" {
				t.Errorf("the server closed with %v, want %d and a reason", err, code)
			}
			<-s.closed
		}
	})
}

// What is too big closes with 1009, however small it was made.
func TestTooBig(t *testing.T) {
	t.Parallel()
	onEach(t, &bachata.Options{MaxMessage: 10_000}, func(t *testing.T, s *server, mode websocket.CompressionMode) {
		for _, size := range []int{10_001, 1 << 20} {
			c := dial(t, s, "anna", mode)
			_ = c.send(strings.Repeat("x", size)) // may find the connection closed
			if _, err := c.text(); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
				t.Errorf("%d bytes: %v, want a close with 1009", size, err)
			}
			<-s.closed
		}
	})
}

// Two hundred clients at once, each sending to its neighbor and confirming what comes: everything arrives, once and in
// order, and every receipt.
func TestManyClients(t *testing.T) {
	t.Parallel()
	const clients = 200
	messages := 10
	if testing.Short() {
		messages = 3
	}
	for driver := range drivers {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			s := serve(t, driver, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 6*patience)
			defer cancel()
			var running sync.WaitGroup
			for i := range clients {
				mode := []websocket.CompressionMode{websocket.CompressionDisabled, websocket.CompressionNoContextTakeover,
					websocket.CompressionContextTakeover}[i%3]
				running.Go(func() {
					c, err := s.dial(ctx, fmt.Sprint("c", i), mode)
					if err != nil {
						t.Errorf("client %d: %v", i, err)
						return
					}
					if err := neighbor(c, i, clients, messages); err != nil {
						t.Errorf("client %d: %v", i, err)
						cancel()
					}
					// Not CloseNow: it would take back what the server has not read yet, the last 200 among it.
					_ = c.Close(websocket.StatusNormalClosure, "")
				})
			}
			running.Wait()
		})
	}
}

// neighbor is one of them: it sends to the next and reads from the one before.
func neighbor(c *client, i, clients, messages int) error {
	to, from := fmt.Sprint("c", (i+1)%clients), fmt.Sprint("c", (i+clients-1)%clients)
	for m := range messages {
		text := fmt.Sprintf(`{"id":%d,"type":"direct","dest":"%s","data":"%s"}`, m+1, to, chat(20*m))
		if err := c.send(text); err != nil {
			return err
		}
	}
	var accepted, came, delivered int
	for accepted < messages || came < messages || delivered < messages {
		text, err := c.text()
		if err != nil {
			return fmt.Errorf("after %d accepted, %d come, %d delivered: %w", accepted, came, delivered, err)
		}
		switch {
		case text == fmt.Sprintf(`{"type":100,"data":%d}`, accepted+1):
			accepted++
		case strings.HasPrefix(text, fmt.Sprintf(`{"type":300,"data":%d,"from":"%s"`, delivered+1, to)):
			delivered++
		case text == fmt.Sprintf(`{"id":%d,"type":"direct","dest":"c%d","data":"%s","from":"%s"}`, came+1, i, chat(20*came), from):
			came++
			if err := c.send(fmt.Sprintf(`{"type":200,"data":%d,"from":"%s"}`, came, from)); err != nil {
				return err
			}
		default:
			return fmt.Errorf("after %d accepted, %d come, %d delivered came %.200s", accepted, came, delivered, text)
		}
	}
	return nil
}
