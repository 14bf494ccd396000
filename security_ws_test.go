package bachata_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
)

// Unless it is asked for, there is no compression to be bombed with.
func TestNoCompression(t *testing.T) {
	t.Parallel()
	url := serve(t, nil, nil)
	response, c := rawRequest(t, url, strings.Replace(handshake, "Host:",
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nHost:", 1))
	if got := response.Header.Values("Sec-WebSocket-Extensions"); len(got) > 0 {
		t.Errorf("agreed on %q, want no extension", got)
	}
	c.write(frame(fin|rsv1|text, "\xaa\x56\x4a\x2c\x4a\x56\x52\x50\x4a\x54\xaa\x05\x00"))
	c.expectClose(bachata.CloseProtocolError)
}

// The limit is exact, and a message of just that size passes.
func TestMaxMessage(t *testing.T) {
	t.Parallel()
	const limit = 100_000
	url := serve(t, &bachata.Options{MaxMessage: limit}, nil)
	fits := strings.Replace(note, "hi", strings.Repeat("x", limit-len(note)+2), 1)
	cut := len(fits) / 3
	for name, in := range map[string][]byte{
		"one frame": texts(fits),
		"fragments": join(frame(text, fits[:cut]), frame(continuation, fits[cut:2*cut]), frame(fin|continuation, fits[2*cut:])),
	} {
		c := ready(t, url)
		c.write(in)
		if got := c.text(); got != accepted {
			t.Errorf("%s of %d bytes: %s, want %s", name, limit, got, accepted)
		}
	}
	longer := fits + " "
	for name, in := range map[string][]byte{
		"one frame": texts(longer)[:14], // its header is enough
		"fragments": join(frame(text, longer[:cut]), frame(continuation, longer[cut:2*cut]), frame(fin|continuation, longer[2*cut:])[:14]),
	} {
		c := ready(t, url)
		c.write(in)
		if reason := c.expectClose(bachata.CloseTooBig); reason == "" {
			t.Errorf("%s: there is no reason", name)
		}
	}
}

// A length that is announced costs nothing until its bytes come. Not parallel: it measures what is allocated.
func TestAnnouncedLengthsAreNotBelieved(t *testing.T) {
	for name, serve := range drivers {
		for _, announced := range []uint64{1 << 30, 1 << 40, 1 << 62} {
			if announced > math.MaxInt {
				continue // of a 32-bit system: no message may be as long
			}
			for _, packed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d, compressed: %v", name, announced, packed), func(t *testing.T) {
					testAnnouncedLength(t, serve, announced, packed)
				})
			}
		}
	}
}

func testAnnouncedLength(t *testing.T, serve server, announced uint64, packed bool) {
	url := serve(t, &bachata.Options{MaxMessage: math.MaxInt}, func(h *bachata.Handler) { h.Compression = new(bachata.Compression) })
	clients := make([]*client, 20)
	first := byte(fin | text)
	for i := range clients {
		if clients[i] = ready(t, url); packed {
			clients[i] = readyToInflate(t, url)
			first = fin | rsv1 | text
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, c := range clients {
		c.write(frame(fin|ping, "")) // proves with its pong that what follows is in the same read, or is waited for
		c.write(append(binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, announced), 1, 2, 3, 4, '{'^1))
		c.expect(pong)
	}
	for _, c := range clients {
		c.write(texts(note)[:10]) // still within what was announced
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
		t.Errorf("%d bytes were allocated for %d bytes that came", got, len(clients)*30)
	}
	for _, c := range clients {
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if op, payload, err := c.read(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the client was sent opcode %d, %q, %v, want nothing: the message may be as long", op, payload, err)
		}
	}
}
