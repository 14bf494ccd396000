package bachata_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bachata-go/bachata"
)

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// What a client may send, and how it is answered (RFC 6455). The tables of the tests of ws_*.go name the section that a row
// is from: 4 is in handler_test.go, 7 in ws_close_test.go, 8 in ws_utf8_test.go.
func TestFrames(t *testing.T) {
	t.Parallel()
	onEach(t, &bachata.Options{MaxMessage: 1000}, testFrames)
}

func testFrames(t *testing.T, url string) {
	long := strings.Repeat("x", 900)
	const noObject = `{"type":400,"data":null,"code":"bad_json","reason":"the frame ends within a JSON value"}`
	big := fmt.Sprintf(`{"id":"1","type":"direct","dest":"bob","data":"%s"}`, long)
	tests := []struct {
		name string
		in   []byte
		want []string // frames that are answered: an opcode and a payload
	}{
		{"5.6 text", texts(note), []string{"1" + accepted}},
		{"5.6 binary", frame(fin|binaryOp, note), []string{"1" + accepted}},
		{"5.2 16 bit length", texts(big), []string{"1" + accepted}},
		{"5.4 two fragments", join(frame(text, note[:9]), frame(fin|continuation, note[9:])), []string{"1" + accepted}},
		{"5.4 binary fragments", join(frame(binaryOp, note[:9]), frame(fin|continuation, note[9:])), []string{"1" + accepted}},
		{"5.4 empty fragments", join(frame(text, ""), frame(continuation, note), frame(continuation, ""), frame(fin|continuation, "")),
			[]string{"1" + accepted}},
		{"5.6 a character split over fragments", join(frame(text, `{"id":"`+"\xf0\x9f"), frame(fin|continuation, "\x98\x80"+note[8:])),
			[]string{`1{"type":100,"data":"😀"}`}},
		{"5.5.2 ping", frame(fin|ping, "are you there"), []string{"10are you there"}},
		{"5.5.2 empty ping", frame(fin|ping, ""), []string{"10"}},
		{"5.5.2 longest ping", frame(fin|ping, long[:125]), []string{"10" + long[:125]}},
		{"5.5.3 pings are all answered", join(frame(fin|ping, "a"), frame(fin|ping, "b"), texts(note), frame(fin|ping, "c")),
			[]string{"10a", "10b", "10c", "1" + accepted}},
		{"5.4 ping between fragments", join(frame(text, note[:9]), frame(fin|ping, "p"), frame(fin|continuation, note[9:])),
			[]string{"10p", "1" + accepted}},
		{"5.5.3 unsolicited pong", join(frame(fin|pong, "0"), frame(fin|pong, ""), texts(note)), []string{"1" + accepted}},
		{"5.5.2 ping with bytes that are no text", frame(fin|ping, "\xff\x00\xfe"), []string{"10\xff\x00\xfe"}},
		{"5.5.2 ping behind a close", join(closeFrame(1000, ""), frame(fin|ping, "p")), []string{"8\x03\xe8"}},
		{"5.3 mask of zeros", maskedWith(0, frame(fin|ping, "p"), "p"), []string{"10p"}},
		{"5.3 a mask for each fragment", join(maskedWith(0x01020304, frame(text, note[:9]), note[:9]),
			maskedWith(0xfffefdfc, frame(fin|continuation, note[9:]), note[9:])), []string{"1" + accepted}},
		{"5.4 pings and pongs between all fragments", join(frame(text, note[:9]), frame(fin|ping, "p"), frame(fin|pong, "q"),
			frame(continuation, note[9:20]), frame(fin|ping, "r"), frame(fin|continuation, note[20:])), []string{"10p", "10r", "1" + accepted}},
		{"5.4 a fragment of each byte", fragmented(text, note, 1), []string{"1" + accepted}},
		{"5.4 messages in fragments, one behind the other", join(fragmented(text, note, 9), fragmented(binaryOp, note, 20)),
			[]string{"1" + accepted, "1" + accepted}},
		{"5.6 empty text", texts(""), []string{"1" + noObject}},
		{"5.6 empty text in empty fragments", join(frame(text, ""), frame(fin|continuation, "")), []string{"1" + noObject}},
		{"5.4 close between fragments", join(frame(text, note[:9]), closeFrame(1000, "")), []string{"8\x03\xe8"}},
		{"5.5.1 close", closeFrame(1000, "bye"), []string{"8\x03\xe8"}},
		{"5.5.1 close without code", frame(fin|closing, ""), []string{"8"}},
		{"7.4.2 close with an application's code", closeFrame(4999, ""), []string{"8\x13\x87"}},
		{"1.4 messages right before a close", join(texts(note, note), closeFrame(1001, "")),
			[]string{"1" + accepted, "1" + accepted, "8\x03\xe9"}},
		{"5.5.1 what is behind a close", join(closeFrame(1000, ""), texts(note)), []string{"8\x03\xe8"}},
	}
	for _, test := range tests {
		for _, how := range []string{"at once", "byte by byte"} {
			t.Run(test.name+"/"+how, func(t *testing.T) {
				t.Parallel()
				c := ready(t, url)
				if how == "at once" {
					c.write(test.in)
				} else {
					for i := range test.in {
						_, _ = c.Write(test.in[i : i+1]) // what is behind a close may find the connection closed
					}
				}
				var got []string
				for range test.want {
					op, payload, err := c.read()
					if err != nil {
						t.Fatalf("after %q: %v", got, err)
					}
					got = append(got, fmt.Sprint(op)+string(payload))
				}
				want := test.want
				if how != "at once" { // an input that comes in pieces may be answered in its own order
					slices.Sort(got)
					want = slices.Sorted(slices.Values(want))
				}
				if !slices.Equal(got, want) {
					t.Errorf("answered %q, want %q", got, want)
				}
			})
		}
	}
}

// What breaks RFC 6455 closes the connection, after what came before it was answered; others are served on.
func TestBrokenFrames(t *testing.T) {
	t.Parallel()
	onEach(t, &bachata.Options{MaxMessage: 1000}, testBrokenFrames)
}

func testBrokenFrames(t *testing.T, url string) {
	unmasked := append([]byte{fin | text, byte(len(note))}, note...)
	mask := "\x01\x02\x03\x04"
	const (
		protocol = bachata.CloseProtocolError
		badText  = bachata.CloseBadText
		tooBig   = bachata.CloseTooBig
	)
	long := strings.Repeat("x", 1001)
	type breach struct {
		name string
		in   []byte
		want bachata.CloseCode
	}
	tests := []breach{
		{"5.1 not masked", unmasked, protocol},
		{"5.1 not masked, only the first two bytes", unmasked[:2], protocol},
		{"5.2 reserved bit 1", frame(fin|0x40|text, note), protocol},
		{"5.2 reserved bit 2", frame(fin|0x20|text, note), protocol},
		{"5.2 reserved bit 3", frame(fin|0x10|text, note), protocol},
		{"5.2 reserved bit of a ping", frame(fin|0x40|ping, ""), protocol},
		{"5.1 ping that is not masked", []byte{fin | ping, 0}, protocol},
		{"5.1 close that is not masked", []byte{fin | closing, 2, 0x03, 0xe8}, protocol},
		{"5.1 continuation that is not masked", join(frame(text, "{"), []byte{fin | continuation, 0}), protocol},
		{"5.2 all reserved bits", frame(fin|0x70|text, note), protocol},
		{"5.2 reserved bit of a binary", frame(fin|0x40|binaryOp, note), protocol},
		{"5.2 reserved bit of a continuation", join(frame(text, "{"), frame(fin|0x40|continuation, "}")), protocol},
		{"5.2 reserved bit of a pong", frame(fin|0x20|pong, ""), protocol},
		{"5.2 reserved bit of a close", frame(fin|0x10|closing, ""), protocol},
		{"5.5 fragmented pong", frame(pong, ""), protocol},
		{"5.5 ping of 16 bit length", []byte{fin | ping, 0x80 | 126, 0, 126}, protocol},
		{"5.5 ping of 64 bit length", []byte{fin | ping, 0x80 | 127, 0x40, 0, 0, 0, 0, 0, 0, 0}, protocol},
		{"5.5 continuation of a ping", join(frame(ping, "a"), frame(fin|continuation, "b")), protocol},
		{"5.2 length of zero in 16 bit", []byte(string([]byte{fin | text, 0x80 | 126, 0, 0}) + mask), protocol},
		{"5.2 length of 65535 in 64 bit", []byte(string([]byte{fin | text, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff}) + mask), protocol},
		{"7.1.7 what is behind a breach", join(frame(fin|0x40|text, note), texts(note), closeFrame(1000, "")), protocol},
		{"5.5 long ping", frame(fin|ping, long[:126]), protocol},
		{"5.5 long pong", frame(fin|pong, long[:126]), protocol},
		{"5.5 long close", frame(fin|closing, "\x03\xe8"+long[:124]), protocol},
		{"5.5 fragmented ping", frame(ping, "a"), protocol},
		{"5.5 fragmented close", frame(closing, ""), protocol},
		{"5.4 continuation of nothing", frame(fin|continuation, note), protocol},
		{"5.4 continuation behind a whole message", join(texts(note), frame(continuation, note)), protocol},
		{"5.4 message within a message", join(frame(text, "{"), texts(note)), protocol},
		{"5.4 binary within a message", join(frame(text, "{"), frame(binaryOp, note)), protocol},
		{"5.2 length longer than it need be, 16 bit", []byte(string([]byte{fin | text, 0x80 | 126, 0, 125}) + mask), protocol},
		{"5.2 length longer than it need be, 64 bit",
			[]byte(string([]byte{fin | text, 0x80 | 127, 0, 0, 0, 0, 0, 0, 1, 0}) + mask), protocol},
		{"5.2 length with its highest bit", []byte{fin | text, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 0}, protocol},
		{"8.1 text that is not UTF-8", texts("{\"id\":\"\xff\"}"), badText},
		{"5.6 binary that is not UTF-8", frame(fin|binaryOp, "\xff"), badText},
		{"8.1 fragments that are not UTF-8", join(frame(text, "\xf0\x9f"), frame(fin|continuation, "\x98x")), badText},
		{"10.4 too big", texts(long), tooBig},
		{"10.4 too big over fragments", join(frame(text, long[:600]), frame(continuation, long[:401])), tooBig},
		{"10.4 a length of 4 EiB", []byte{fin | text, 0x80 | 127, 0x40, 0, 0, 0, 0, 0, 0, 0}, tooBig},
		{"10.4 a length of 8 EiB less one", []byte{fin | text, 0x80 | 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, tooBig},
		{"10.4 a length of 4 EiB in a second fragment",
			join(frame(text, "{"), []byte{continuation, 0x80 | 127, 0x40, 0, 0, 0, 0, 0, 0, 0}), tooBig},
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		tests = append(tests, breach{fmt.Sprintf("5.2 reserved opcode %d", op), frame(fin|op, ""), protocol},
			breach{fmt.Sprintf("5.2 reserved opcode %d, only its first two bytes", op), []byte{op, 0x80}, protocol})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			other := ready(t, url)
			c := ready(t, url)
			c.write(join(texts(note), test.in))
			if got := c.text(); got != accepted {
				t.Errorf("what came before was answered %s, want %s", got, accepted)
			}
			if reason := c.expectClose(test.want); reason == "" || len(reason) > 123 {
				t.Errorf("the reason is %q, want one", reason)
			}
			c.expectEnd()
			other.write(texts(note))
			if got := other.text(); got != accepted {
				t.Errorf("another client was answered %s, want %s", got, accepted)
			}
		})
	}
}

// maskedWith masks a frame of payload anew.
func maskedWith(mask uint32, frame []byte, payload string) []byte {
	n := len(frame) - len(payload)
	frame = binary.BigEndian.AppendUint32(frame[:n-4], mask)
	for i := range len(payload) {
		frame = append(frame, payload[i]^byte(mask>>(24-8*(i%4))))
	}
	return frame
}

// RFC 6455, section 5.2: each of the three lengths of a length, from its least to its most.
func TestLengths(t *testing.T) {
	t.Parallel()
	onEach(t, &bachata.Options{MaxMessage: 70_000}, func(t *testing.T, url string) {
		c := ready(t, url)
		for _, n := range []int{60, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537, 70_000} {
			message := strings.Replace(note, "hi", strings.Repeat("x", n-len(note)+2), 1)
			c.write(texts(message))
			if got := c.text(); got != accepted {
				t.Errorf("a message of %d bytes: %s, want %s", len(message), got, accepted)
			}
		}
	})
}

// There is no bound on the number of fragments, only on what they hold: empty ones cost nothing.
func TestManyFragments(t *testing.T) {
	t.Parallel()
	onEach(t, nil, func(t *testing.T, url string) {
		c := ready(t, url)
		in := frame(text, note[:9])
		in = append(in, bytes.Repeat(frame(continuation, ""), 50_000)...)
		c.write(append(in, frame(fin|continuation, note[9:])...))
		if got := c.text(); got != accepted {
			t.Errorf("answered %s, want %s", got, accepted)
		}
	})
}

func TestManyMessagesInOneGo(t *testing.T) {
	t.Parallel()
	onEach(t, nil, testManyMessages)
}

func testManyMessages(t *testing.T, url string) {
	c := ready(t, url)
	const n = 10_000
	var in bytes.Buffer
	for i := range n {
		in.Write(texts(fmt.Sprintf(`{"id":%d,"type":"direct","dest":"bob"}`, i+1)))
	}
	c.write(in.Bytes())
	for i := range n {
		if got, want := c.text(), fmt.Sprintf(`{"type":100,"data":%d}`, i+1); got != want {
			t.Fatalf("answer %d is %s, want %s", i, got, want)
		}
	}
}

func TestBigMessages(t *testing.T) {
	t.Parallel()
	onEach(t, &bachata.Options{MaxMessage: 6 << 20}, testBigMessages)
}

func testBigMessages(t *testing.T, url string) {
	body := strings.Repeat("é", 5<<19) // 5 MiB
	message := strings.Replace(note, "hi", body, 1)
	inputs := map[string][]byte{"one frame": texts(message)}
	var fragments []byte
	for i, first := 0, byte(text); i < len(message); i, first = i+10_001, continuation {
		end := min(i+10_001, len(message))
		if end == len(message) {
			first |= fin
		}
		fragments = append(fragments, frame(first, message[i:end])...)
	}
	inputs["fragments"] = fragments
	for name, in := range inputs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := ready(t, url)
			for range 2 {
				c.write(in)
				if got := c.text(); got != accepted {
					t.Errorf("answered %s, want %s", got, accepted)
				}
			}
		})
	}
}
