package bachata

import (
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// notingReceiver notes what it gets. A pong is no text's neighbour: it says something of what the server has written.
type notingReceiver struct{ got, pongs []string }

func (r *notingReceiver) begin(texts [][]byte, _ []Key, _ *atomic.Bool) *intake {
	for _, text := range texts {
		r.got = append(r.got, "text "+string(text))
	}
	return nil
}
func (r *notingReceiver) prove(keys []Key, payload []byte) []Key {
	r.pongs = append(r.pongs, "pong "+string(payload))
	return keys
}
func (r *notingReceiver) Detach() {}

// sink is a network connection that takes everything.
type sink struct {
	net.Conn
	written []byte
}

func (s *sink) Write(b []byte) (int, error) {
	s.written = append(s.written, b...)
	return len(b), nil
}
func (s *sink) SetWriteDeadline(time.Time) error { return nil }
func (s *sink) Close() error                     { return nil }

// limitedHandler returns a handler that takes messages of limit bytes.
func limitedHandler(limit int) *Handler {
	h := &Handler{maxMessage: limit, MaxPending: 1 << 20}
	h.setTimeouts()
	return h
}

// feed hands input to a connection in pieces, and returns what its session got and what the client was sent. With deflate,
// compression was agreed on.
func feed(limit int, input []byte, piece int, deflate bool) (got []string, written string) {
	h := limitedHandler(limit)
	var r notingReceiver
	var s sink
	c := newConn(h, &s)
	c.session, c.compress = &r, deflate
	input = slices.Clone(input) // it is unmasked in place
	for len(input) > 0 {
		n := min(piece, len(input))
		c.take(input[:n:n])
		input = input[n:]
	}
	h.helpers.Wait()
	c.mu.Lock()
	c.close(nil)
	c.mu.Unlock()
	h.helpers.Wait()
	return append(r.got, r.pongs...), string(s.written)
}

// Whatever a client sends: it is handled, the same however the network cuts it into pieces, and what is written in
// answer is frames.
func FuzzFrames(f *testing.F) {
	for _, frames := range [][]ws.Frame{
		{ws.NewTextFrame([]byte("{}")), ws.NewPingFrame([]byte("p")), ws.NewPongFrame([]byte("1"))},
		{ws.NewFrame(ws.OpText, false, []byte("a")), ws.NewPingFrame(nil), ws.NewFrame(ws.OpContinuation, true, []byte("b"))},
		{ws.NewBinaryFrame(make([]byte, 200)), ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye"))},
		{ws.NewTextFrame(make([]byte, 301))},
		{ws.NewTextFrame([]byte("\xff"))},
	} {
		var in []byte
		for _, frame := range frames {
			in = append(in, ws.MustCompileFrame(ws.MaskFrame(frame))...)
		}
		f.Add(in, uint8(3), false)
		f.Add(in, uint8(3), true)
	}
	f.Add([]byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, uint8(1), false)
	for _, payload := range []string{
		"\xf2\x48\xcd\xc9\xc9\x07\x00", "\x00\x05\x00\xfa\xffHello\x00", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
		"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "\x00", "", "\xf2\x00\x11\x00\x00",
		deflatedText(f, string(make([]byte, 300)), 9), deflatedText(f, string(make([]byte, 301)), 9), deflatedText(f, "\xff", 1),
	} {
		in := slices.Concat(packedFrames(payload, 1), packedFrames(payload, 3))
		f.Add(in, uint8(5), true)
		f.Add(in, uint8(5), false)
	}
	f.Fuzz(func(t *testing.T, input []byte, piece uint8, deflate bool) {
		got, written := feed(300, input, max(1, len(input)), deflate)
		again, writtenAgain := feed(300, input, max(1, int(piece)), deflate)
		if !slices.Equal(got, again) || written != writtenAgain {
			t.Errorf("at once: %q, answered %q; in pieces of %d: %q, answered %q", got, written, piece, again, writtenAgain)
		}
		for _, text := range got {
			if !utf8.ValidString(text) && strings.HasPrefix(text, "text ") || len(text) > len("text ")+300 {
				t.Errorf("the session got %q", text)
			}
		}
		for rest := []byte(written); len(rest) > 0; {
			if len(rest) < 2 || rest[1] > maxControl || len(rest) < 2+int(rest[1]) ||
				rest[0] != 0x80|byte(ws.OpPong) && rest[0] != 0x80|byte(ws.OpClose) {
				t.Fatalf("the client was sent %q", written)
			}
			rest = rest[2+rest[1]:]
		}
	})
}

// A connection between two messages holds nothing of either.
func TestNothingIsKeptBetweenMessages(t *testing.T) {
	t.Parallel()
	var a assembler
	message := masked(ws.OpText, string(make([]byte, 100_000)))
	next := masked(ws.OpText, "next")
	input := slices.Concat(message, next[:3])
	for i := 0; i < len(input); i += 1000 {
		b := a.add(input[i:min(i+1000, len(input))])
		_, n := a.next(b, 1<<20)
		a.keep(b[n:])
	}
	if got := cap(a.partial); got > 64 {
		t.Errorf("%d bytes are kept for the 3 of the next message", got)
	}
	hp, n := a.next(a.add(next[3:]), 1<<20)
	if string(hp.payload) != "next" {
		t.Errorf("the next message is %q, want next", hp.payload)
	}
	if a.keep(a.partial[n:]); a.partial != nil || a.message != nil {
		t.Errorf("%d and %d bytes are kept for nothing", cap(a.partial), cap(a.message))
	}
}

// What is unmasked is the same as that of the WebSocket library, and ASCII is told from the rest in any place.
func TestUnmask(t *testing.T) {
	t.Parallel()
	mask := [4]byte{0x91, 0x02, 0xf3, 0x7f}
	for _, length := range []int{0, 1, 3, 4, 7, 8, 9, 15, 16, 23, 125, 126, 1024, 1025, 4099} {
		for _, other := range []int{-1, 0, length / 2, length - 1} {
			text := []byte(strings.Repeat("Are you coming tonight? ", 180)[:length])
			if other >= 0 && other < length {
				text[other] = 0xe9
			}
			payload := slices.Clone(text)
			ws.Cipher(payload, mask, 0)
			ascii := unmask(payload, mask)
			if !slices.Equal(payload, text) {
				t.Errorf("unmask of %d bytes = %q, want %q", length, payload, text)
			}
			if want := !slices.Contains(text, 0xe9); ascii && !want || !ascii && want && length <= 1024 {
				t.Errorf("unmask of %d bytes, 0xe9 at %d: ASCII %v, want %v", length, other, ascii, want)
			}
		}
	}
}
