package bachata_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"github.com/bachata-go/bachata"
)

const (
	rsv1      = 0x40
	threshold = 100 // of the servers that compress here
)

func compress(h *bachata.Handler) { h.Compression = &bachata.Compression{Threshold: threshold} }

// compressing runs test for each driver, with a server that compresses.
func compressing(t *testing.T, o *bachata.Options, test func(t *testing.T, url string)) {
	t.Helper()
	for name, serve := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, serve(t, o, compress))
		})
	}
}

// readyToInflate opens a WebSocket with compression and takes its 1000, which is too short to be compressed.
func readyToInflate(t *testing.T, url string) *client {
	t.Helper()
	dialer := ws.Dialer{Timeout: patience, TLSConfig: trustTests}
	dialer.Extensions = append(dialer.Extensions, wsflate.Parameters{ClientMaxWindowBits: 1}.Option())
	conn, r, agreed, err := dialer.Dial(t.Context(), url)
	if err != nil || len(agreed.Extensions) != 1 {
		t.Fatalf("dial %s: agreed on %d extensions, %v; want one", url, len(agreed.Extensions), err)
	}
	c := newClient(t, conn, r)
	if text := c.text(); !strings.HasPrefix(text, `{"type":1000,`) {
		t.Fatalf("first came %s, want a 1000", text)
	}
	return c
}

// squeezers are writers: a new one takes a megabyte.
var squeezers = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestCompression)
	if err != nil {
		panic(err)
	}
	return w
}}

// squeeze compresses a payload as a client that keeps no window.
func squeeze(payload string) string {
	return strings.TrimSuffix(compressed(payload, (*flate.Writer).Flush), "\x00\x00\xff\xff")
}

// finish compresses a payload into a stream with a final block.
func finish(payload string) string { return compressed(payload, (*flate.Writer).Close) }

func compressed(payload string, end func(*flate.Writer) error) string {
	var out bytes.Buffer
	w := squeezers.Get().(*flate.Writer)
	defer squeezers.Put(w)
	w.Reset(&out)
	_, _ = io.WriteString(w, payload) // into memory, as all of it
	_ = end(w)
	return out.String()
}

// textAs returns the next text, which has to be compressed, or not to be, as packed says.
func (c *client) textAs(packed bool) string {
	c.t.Helper()
	if packed {
		return c.inflated()
	}
	return c.text()
}

// inflated returns the next frame, a compressed text, as it was before.
func (c *client) inflated() string {
	c.t.Helper()
	h, err := ws.ReadHeader(c.r)
	if err != nil || !h.Fin || h.Masked || h.OpCode != ws.OpText || h.Rsv != ws.Rsv(true, false, false) {
		c.t.Fatalf("the header %+v, %v; want that of a compressed text", h, err)
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(c.r, payload); err != nil {
		c.t.Fatal(err)
	}
	text, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
	if err != nil {
		c.t.Fatalf("inflate %q: %v", payload, err)
	}
	return string(text)
}

// What compressed messages are, and how they are answered (RFC 7692).
func TestCompressedFrames(t *testing.T) {
	t.Parallel()
	compressing(t, &bachata.Options{MaxMessage: 100_000}, testCompressedFrames)
}

func testCompressedFrames(t *testing.T, url string) {
	packed := squeeze(note)
	id := strings.Repeat("long ", 40)
	named := squeeze(strings.Replace(note, `"1"`, `"`+id+`"`, 1))
	emoji := squeeze(strings.Replace(note, `"1"`, `"😀"`, 1))
	big := squeeze(strings.Replace(note, "hi", strings.Repeat("x", 100_000-len(note)+2), 1))
	bad := squeeze(strings.Replace(note, "hi", "\xff", 1))
	tests := []struct {
		name string // begins with the section of RFC 7692
		in   []byte
		want string // the answer; from threshold on it comes compressed
		code bachata.CloseCode
	}{
		{"6 text", frame(fin|rsv1|text, packed), accepted, 0},
		{"6 binary", frame(fin|rsv1|binaryOp, packed), accepted, 0},
		{"6 message that is not compressed", texts(note), accepted, 0},
		{"6 answer that is compressed", frame(fin|rsv1|text, named), `{"type":100,"data":"` + id + `"}`, 0},
		{"6.1 two fragments", join(frame(rsv1|text, packed[:9]), frame(fin|continuation, packed[9:])), accepted, 0},
		{"6.1 a fragment of each byte", fragmented(rsv1|text, packed, 1), accepted, 0},
		{"6.1 empty fragments", join(frame(rsv1|text, ""), frame(continuation, packed), frame(fin|continuation, "")), accepted, 0},
		{"6.1 ping between fragments", join(frame(rsv1|text, packed[:9]), frame(fin|pong, "p"), frame(fin|continuation, packed[9:])), accepted, 0},
		{"6.1 a compressed message behind one that is not", join(texts(`{"type":1002}`), frame(fin|rsv1|text, packed)), accepted, 0},
		{"6.2 one that is not behind a compressed one", join(frame(fin|rsv1|text, squeeze(`{"type":1002}`)), texts(note)), accepted, 0},
		{"6.2 character cut in two by compression", fragmented(rsv1|text, emoji, 1), `{"type":100,"data":"😀"}`, 0},
		{"6.2 as large as may be", frame(fin|rsv1|text, big), accepted, 0},
		{"7.2.3.4 final block", frame(fin|rsv1|text, finish(note)+"\x00"), accepted, 0},

		{"6 bit of a ping", frame(fin|rsv1|ping, ""), "", bachata.CloseProtocolError},
		{"6 bit of a close", frame(fin|rsv1|closing, ""), "", bachata.CloseProtocolError},
		{"6.1 bit of a second fragment", join(frame(rsv1|text, packed[:9]), frame(fin|rsv1|continuation, packed[9:])), "", bachata.CloseProtocolError},
		{"6.1 bit of a second fragment only", join(frame(text, packed[:9]), frame(fin|rsv1|continuation, packed[9:])), "", bachata.CloseProtocolError},
		{"6 another bit beside it", frame(fin|rsv1|0x20|text, packed), "", bachata.CloseProtocolError},
		{"6 another bit", frame(fin|0x10|text, note), "", bachata.CloseProtocolError},
		{"6 the bit of a reserved opcode", frame(fin|rsv1|0x3, ""), "", bachata.CloseProtocolError},
		{"7.2.2 no DEFLATE at all", frame(fin|rsv1|text, note), "", bachata.CloseBadText},
		{"7.2.3.2 window of an earlier message",
			join(frame(fin|rsv1|text, squeeze(`{"type":1002}`)), frame(fin|rsv1|text, "\xf2\x00\x11\x00\x00")), "", bachata.CloseBadText},
		{"6.2 text that is not UTF-8", frame(fin|rsv1|text, bad), "", bachata.CloseBadText},
		{"6.2 binary that is not UTF-8", frame(fin|rsv1|binaryOp, bad), "", bachata.CloseBadText},
		{"8 too big", frame(fin|rsv1|text, squeeze(strings.Repeat("x", 100_001))), "", bachata.CloseTooBig},
		{"8 bomb", frame(fin|rsv1|text, squeeze(strings.Repeat("x", 10<<20))), "", bachata.CloseTooBig},
		{"8 bomb in fragments", fragmented(rsv1|text, squeeze(strings.Repeat("x", 10<<20)), 100), "", bachata.CloseTooBig},
		{"8 too big before it is inflated", []byte{fin | rsv1 | text, 0x80 | 127, 0, 0, 0, 0, 0, 2, 0, 0}, "", bachata.CloseTooBig},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := readyToInflate(t, url)
			c.write(join(test.in))
			if test.code != 0 {
				c.expectClose(test.code)
				c.expectEnd()
				return
			}
			if got := c.textAs(len(test.want) >= threshold); got != test.want {
				t.Errorf("answered %s, want %s", got, test.want)
			}
		})
	}
}

// fragmented cuts a payload into fragments of size bytes; with zero it is in one frame.
func fragmented(first byte, payload string, size int) []byte {
	if size == 0 {
		return frame(fin|first, payload)
	}
	var b []byte
	for op := first; len(payload) > 0; op = continuation {
		n := min(size, len(payload))
		if n == len(payload) {
			op |= fin
		}
		b = append(b, frame(op, payload[:n])...)
		payload = payload[n:]
	}
	return b
}

// Compression is agreed on by both or not used at all.
func TestCompressionIsNegotiated(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("long ", 40)
	long := strings.Replace(note, `"1"`, `"`+id+`"`, 1)
	answer := `{"type":100,"data":"` + id + `"}`
	on := serve(t, nil, compress)
	off := serve(t, nil, nil)
	for _, test := range []struct {
		name, url, offer, want string
		status                 int
	}{
		{"off", off, "permessage-deflate", "", 101},
		{"not offered", on, "", "", 101},
		{"another extension", on, "x-webkit-deflate-frame", "", 101},
		{"a window that can't be had", on, "permessage-deflate; server_max_window_bits=10", "", 101},
		{"malformed", on, "permessage-deflate;", "", 400},
		{"malformed, and off", off, "permessage-deflate;", "", 400},
		{"offered", on, "permessage-deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover", 101},
		{"as browsers offer it", on, "permessage-deflate; client_max_window_bits",
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover", 101},
		{"two headers", on, "permessage-deflate; server_max_window_bits=9\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=15",
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15", 101},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			request := handshake
			if test.offer != "" {
				request = strings.Replace(handshake, "Host:", "Sec-WebSocket-Extensions: "+test.offer+"\r\nHost:", 1)
			}
			response, c := rawRequest(t, test.url, request)
			if got := strings.Join(response.Header.Values("Sec-WebSocket-Extensions"), "|"); got != test.want || response.StatusCode != test.status {
				t.Fatalf("answered %d and %q, want %d and %q", response.StatusCode, got, test.status, test.want)
			}
			if test.status != 101 {
				return
			}
			c.text() // the 1000
			c.write(texts(long))
			if got := c.textAs(test.want != ""); got != answer {
				t.Errorf("answered %s, want %s", got, answer)
			}
			if test.want == "" {
				c.write(frame(fin|rsv1|text, squeeze(note)))
				c.expectClose(bachata.CloseProtocolError)
			}
		})
	}
}

// Options that can't be are said before anybody is served.
func TestCompressionOptions(t *testing.T) {
	t.Parallel()
	h := newHandler(t, nil, func(h *bachata.Handler) { h.Compression = &bachata.Compression{Level: 10} })
	if err := h.Check(); err == nil || !strings.Contains(err.Error(), "level 10") {
		t.Errorf("Check() = %v, want that there is no level 10", err)
	}
}

// Compression changes nothing about what a client is sent: all of these messages come, in order.
func TestCompressedOrder(t *testing.T) {
	t.Parallel()
	const n = 300
	var in []byte
	id := func(i int) string { return strings.Repeat(fmt.Sprint(i, " "), 1+i%40) }
	for i := range n {
		in = append(in, frame(fin|rsv1|text, squeeze(strings.Replace(note, `"1"`, `"`+id(i)+`"`, 1)))...)
	}
	compressing(t, nil, func(t *testing.T, url string) {
		c := readyToInflate(t, url)
		c.write(in)
		for i := range n {
			want := `{"type":100,"data":"` + id(i) + `"}`
			if got := c.textAs(len(want) >= threshold); got != want {
				t.Fatalf("answer %d is %s, want %s", i, got, want)
			}
		}
	})
}
