package bachata_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bachata-go/bachata"
)

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// What a client may send, and how it is answered (security.md, line 18: RFC 6455).
func TestFrames(t *testing.T) {
	t.Parallel()
	onEach(t, &bachata.Options{MaxMessage: 1000}, testFrames)
}

func testFrames(t *testing.T, url string) {
	long := strings.Repeat("x", 900)
	big := fmt.Sprintf(`{"id":"1","type":"direct","dest":"bob","data":"%s"}`, long)
	tests := []struct {
		name string
		in   []byte
		want []string // frames that are answered: an opcode and a payload
	}{
		{"text", texts(note), []string{"1" + accepted}},
		{"binary", frame(fin|binaryOp, note), []string{"1" + accepted}},
		{"16 bit length", texts(big), []string{"1" + accepted}},
		{"two fragments", join(frame(text, note[:9]), frame(fin|continuation, note[9:])), []string{"1" + accepted}},
		{"binary fragments", join(frame(binaryOp, note[:9]), frame(fin|continuation, note[9:])), []string{"1" + accepted}},
		{"empty fragments", join(frame(text, ""), frame(continuation, note), frame(continuation, ""), frame(fin|continuation, "")),
			[]string{"1" + accepted}},
		{"a character split over fragments", join(frame(text, `{"id":"`+"\xf0\x9f"), frame(fin|continuation, "\x98\x80"+note[8:])),
			[]string{`1{"type":100,"data":"😀"}`}},
		{"ping", frame(fin|ping, "are you there"), []string{"10are you there"}},
		{"empty ping", frame(fin|ping, ""), []string{"10"}},
		{"longest ping", frame(fin|ping, long[:125]), []string{"10" + long[:125]}},
		{"pings are all answered", join(frame(fin|ping, "a"), frame(fin|ping, "b"), texts(note), frame(fin|ping, "c")),
			[]string{"10a", "10b", "10c", "1" + accepted}},
		{"ping between fragments", join(frame(text, note[:9]), frame(fin|ping, "p"), frame(fin|continuation, note[9:])),
			[]string{"10p", "1" + accepted}},
		{"unsolicited pong", join(frame(fin|pong, "0"), frame(fin|pong, ""), texts(note)), []string{"1" + accepted}},
		{"close between fragments", join(frame(text, note[:9]), closeFrame(1000, "")), []string{"8\x03\xe8"}},
		{"close", closeFrame(1000, "bye"), []string{"8\x03\xe8"}},
		{"close without code", frame(fin|closing, ""), []string{"8"}},
		{"close with an application's code", closeFrame(4999, ""), []string{"8\x13\x87"}},
		{"messages right before a close", join(texts(note, note), closeFrame(1001, "")),
			[]string{"1" + accepted, "1" + accepted, "8\x03\xe9"}},
		{"what is behind a close", join(closeFrame(1000, ""), texts(note)), []string{"8\x03\xe8"}},
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
	tests := []struct {
		name string
		in   []byte
		want bachata.CloseCode
	}{
		{"not masked", unmasked, protocol},
		{"not masked, only the first two bytes", unmasked[:2], protocol},
		{"reserved bit 1", frame(fin|0x40|text, note), protocol},
		{"reserved bit 2", frame(fin|0x20|text, note), protocol},
		{"reserved bit 3", frame(fin|0x10|text, note), protocol},
		{"reserved bit of a ping", frame(fin|0x40|ping, ""), protocol},
		{"reserved opcode 3", frame(fin|0x3, ""), protocol},
		{"reserved opcode 7", frame(fin|0x7, ""), protocol},
		{"reserved opcode 11", frame(fin|0xb, ""), protocol},
		{"reserved opcode 15", frame(fin|0xf, ""), protocol},
		{"long ping", frame(fin|ping, long[:126]), protocol},
		{"long pong", frame(fin|pong, long[:126]), protocol},
		{"long close", frame(fin|closing, "\x03\xe8"+long[:124]), protocol},
		{"fragmented ping", frame(ping, "a"), protocol},
		{"fragmented close", frame(closing, ""), protocol},
		{"continuation of nothing", frame(fin|continuation, note), protocol},
		{"continuation behind a whole message", join(texts(note), frame(continuation, note)), protocol},
		{"message within a message", join(frame(text, "{"), texts(note)), protocol},
		{"binary within a message", join(frame(text, "{"), frame(binaryOp, note)), protocol},
		{"length longer than it need be, 16 bit", []byte(string([]byte{fin | text, 0x80 | 126, 0, 125}) + mask), protocol},
		{"length longer than it need be, 64 bit",
			[]byte(string([]byte{fin | text, 0x80 | 127, 0, 0, 0, 0, 0, 0, 1, 0}) + mask), protocol},
		{"length with its highest bit", []byte{fin | text, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 0}, protocol},
		{"close code of one byte", frame(fin|closing, "\x03"), protocol},
		{"close code 0", closeFrame(0, ""), protocol},
		{"close code 999", closeFrame(999, ""), protocol},
		{"close code 1004", closeFrame(1004, ""), protocol},
		{"close code 1005", closeFrame(1005, ""), protocol},
		{"close code 1006", closeFrame(1006, ""), protocol},
		{"close code 1015", closeFrame(1015, ""), protocol},
		{"close code 2999", closeFrame(2999, ""), protocol},
		{"close code 5000", closeFrame(5000, ""), protocol},
		{"close reason that is not UTF-8", closeFrame(1000, "\xff"), badText},
		{"text that is not UTF-8", texts("{\"id\":\"\xff\"}"), badText},
		{"text with a surrogate", texts("\xed\xa0\x80"), badText},
		{"text with an overlong character", texts("\xc0\xaf"), badText},
		{"text that ends within a character", texts("\"\xf0\x9f\x98"), badText},
		{"binary that is not UTF-8", frame(fin|binaryOp, "\xff"), badText},
		{"fragments that are not UTF-8", join(frame(text, "\xf0\x9f"), frame(fin|continuation, "\x98x")), badText},
		{"too big", texts(long), tooBig},
		{"too big over fragments", join(frame(text, long[:600]), frame(continuation, long[:401])), tooBig},
		{"a length of 4 EiB", []byte{fin | text, 0x80 | 127, 0x40, 0, 0, 0, 0, 0, 0, 0}, tooBig},
		{"a length of 8 EiB less one", []byte{fin | text, 0x80 | 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, tooBig},
		{"a length of 4 EiB in a second fragment",
			join(frame(text, "{"), []byte{continuation, 0x80 | 127, 0x40, 0, 0, 0, 0, 0, 0, 0}), tooBig},
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
