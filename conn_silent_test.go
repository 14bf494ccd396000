package bachata_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
)

// A client that says nothing, in the middle of a frame or not, is pinged, and cut when it does not answer.
func TestSilentClientIsCut(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		for part, in := range map[string][]byte{
			"at once": nil, "behind a message": texts(note), "within a frame": texts(note)[:20], "within a message": frame(text, note[:9]),
		} {
			t.Run(name+"/"+part, func(t *testing.T) {
				t.Parallel()
				c, _, closed := sessionOf(t, serve, func(h *bachata.Handler) {
					h.PingInterval, h.PongTimeout = 50*time.Millisecond, 50*time.Millisecond
				})
				_, _ = c.Write(in) // on a slow machine it is cut by then
				var ops []byte
				op, _, err := c.read()
				for ; err == nil; op, _, err = c.read() {
					if ops = append(ops, op); op != ping && op != text {
						t.Errorf("the client was sent opcode %d, want pings", op)
					}
				}
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("after the opcodes %d the client is still connected", ops)
				}
				if len(ops) == 0 || ops[len(ops)-1] != ping {
					t.Errorf("before the end came the opcodes %d, want a ping last", ops)
				}
				<-closed
			})
		}
	}
}

// A client that answers pings is asked again and again, and served.
func TestSilentClientThatAnswersStays(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _, closed := sessionOf(t, serve, func(h *bachata.Handler) {
				h.PingInterval, h.PongTimeout = 20*time.Millisecond, patience
			})
			for range 5 {
				c.write(frame(fin|pong, c.expect(ping)))
			}
			c.write(texts(note))
			if got := c.text(); got != accepted {
				t.Errorf("answered %s, want %s", got, accepted)
			}
			c.Conn.Close()
			<-closed
		})
	}
}
