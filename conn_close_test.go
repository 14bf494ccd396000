package bachata_test

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
)

// sessionOf serves, and opens a connection of which it returns both ends.
func sessionOf(t *testing.T, serve server, change func(h *bachata.Handler)) (*client, *bachata.Session, <-chan bool) {
	t.Helper()
	sessions, closed := make(chan *bachata.Session, 1), make(chan bool, 1)
	url := serve(t, nil, func(h *bachata.Handler) {
		h.OnOpen = func(s *bachata.Session, _ *http.Request) { sessions <- s }
		h.OnClose = func(*bachata.Session) { closed <- true }
		if change != nil {
			change(h)
		}
	})
	c := ready(t, url)
	return c, <-sessions, closed
}

func TestCloseFromTheServer(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var taken atomic.Int32
			c, s, closed := sessionOf(t, serve, func(h *bachata.Handler) {
				h.OnMessage = func(*bachata.Session, *bachata.Message) error {
					taken.Add(1)
					return nil
				}
			})
			c.write(texts(note))
			if got := c.text(); got != accepted {
				t.Errorf("answered %s, want %s", got, accepted)
			}
			s.Close(bachata.CloseTooMuch, "slow down")
			s.Close(bachata.CloseNormal, "again")
			c.write(texts(note)) // is not taken any more
			if reason := c.expectClose(bachata.CloseTooMuch); reason != "slow down" {
				t.Errorf("the reason is %q, want slow down", reason)
			}
			c.expectEnd()
			<-closed
			if got := taken.Load(); got != 1 {
				t.Errorf("%d messages were taken, want that before the close frame only", got)
			}
			s.Close(bachata.CloseNormal, "and again")
			s.Detach()
		})
	}
}

// A client may still answer a ping behind its own close frame (RFC 6455, section 5.5.2). Were the connection reset for that,
// what is still on its way to it would be lost: answers, receipts and the close frame.
func TestPongBehindTheCloseOfTheClient(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		if name == "wrapped" {
			continue // no side of it can be ended by itself
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _, closed := sessionOf(t, serve, nil)
			c.write(join(texts(note), closeFrame(bachata.CloseNormal, "")))
			if got := c.text(); got != accepted {
				t.Errorf("answered %s, want %s", got, accepted)
			}
			c.expectClose(bachata.CloseNormal)
			if b, err := io.ReadAll(c.r); err != nil || len(b) > 0 {
				t.Errorf("behind the close frame came %q, %v; want the end of the stream", b, err)
			}
			for range 3 { // the second write finds what the first brought about
				if _, err := c.Write(frame(fin|pong, "")); err != nil {
					t.Fatalf("a pong behind the close frame: %v", err)
				}
			}
			c.Conn.Close()
			<-closed
		})
	}
}

// A client that does not answer the close frame is cut, and sent nothing more until then, pings neither.
func TestUnansweredClose(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s, closed := sessionOf(t, serve, func(h *bachata.Handler) {
				h.CloseTimeout = 50 * time.Millisecond
				h.PingInterval = time.Millisecond
			})
			s.Close(bachata.CloseNormal, "")
			<-closed
			c.expectClose(bachata.CloseNormal)
			if op, _, err := c.read(); err == nil {
				t.Errorf("behind the close frame came opcode %d", op)
			}
		})
	}
}

// Nor is one waited for that broke the protocol and then stays.
func TestUnansweredFault(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _, closed := sessionOf(t, serve, func(h *bachata.Handler) { h.CloseTimeout = 10 * time.Millisecond })
			c.write(frame(fin|0x3, ""))
			c.expectClose(bachata.CloseProtocolError)
			<-closed
		})
	}
}

// What a client sent is handled even if it is gone by then, and can't be answered.
func TestMessagesBeforeAnAbruptEnd(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 800 // of 50 bytes, which the server's kernel takes before they are read
			var taken atomic.Int32
			gone := make(chan struct{}) // closed when the client is; an answer before that it would have to read
			c, _, closed := sessionOf(t, serve, func(h *bachata.Handler) {
				h.OnMessage = func(*bachata.Session, *bachata.Message) error {
					<-gone
					taken.Add(1)
					return nil
				}
			})
			var in []byte
			for i := range n {
				in = append(in, texts(fmt.Sprintf(`{"id":%d,"type":"direct","dest":"bob"}`, i+1))...)
			}
			c.write(in)
			c.Conn.Close()
			close(gone)
			<-closed
			if got := taken.Load(); got != n {
				t.Errorf("%d messages were taken, want %d", got, n)
			}
		})
	}
}

// Connections come and go, ended by either side, while others write to them: nobody gets what was meant for another,
// though descriptors are used again at once.
func TestDescriptorsAreUsedAgain(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			sessions := make(map[*bachata.Session]bool)
			url := serve(t, nil, func(h *bachata.Handler) {
				h.OnOpen = func(s *bachata.Session, _ *http.Request) {
					mu.Lock()
					sessions[s] = true
					mu.Unlock()
				}
				h.OnClose = func(s *bachata.Session) {
					mu.Lock()
					delete(sessions, s)
					mu.Unlock()
				}
			})
			stop := make(chan struct{})
			var stopper sync.WaitGroup
			stopper.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
					}
					mu.Lock()
					for s := range sessions {
						go s.Close(bachata.CloseGoingAway, "")
						break
					}
					mu.Unlock()
				}
			})
			var clients sync.WaitGroup
			for worker := range 4 {
				clients.Go(func() {
					for i := range 50 {
						c, err := tryDial(t, url, nil)
						if err != nil {
							t.Error(err)
							return
						}
						id := fmt.Sprintf("%d-%d", worker, i)
						_, _ = c.Write(texts(fmt.Sprintf(`{"id":"%s","type":"direct","dest":"bob"}`, id)))
						for {
							op, payload, err := c.read()
							if err != nil || op == closing {
								break
							}
							if want := fmt.Sprintf(`{"type":100,"data":"%s"}`, id); string(payload) == want {
								break
							} else if string(payload[:12]) != `{"type":1000` {
								t.Errorf("%s was sent %q", id, payload)
							}
						}
						if i%2 == 0 {
							_, _ = c.Write(closeFrame(bachata.CloseNormal, ""))
						}
						c.Conn.Close()
					}
				})
			}
			clients.Wait()
			close(stop)
			stopper.Wait()
			eventually(t, "all sessions are closed", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(sessions) == 0
			})
		})
	}
}
