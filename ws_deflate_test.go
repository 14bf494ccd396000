package bachata

import (
	"bytes"
	"compress/flate"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"
)

// deflatedText compresses as a client would that keeps no window.
func deflatedText(t testing.TB, text string, level int) string {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, level)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte(text))
	_ = w.Flush()
	return strings.TrimSuffix(out.String(), deflateTail)
}

// finalText compresses into blocks of which the last is marked as final.
func finalText(text string) string {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, 9)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return out.String()
}

// packedFrames builds a masked compressed message in so many fragments.
func packedFrames(payload string, fragments int) []byte {
	var in []byte
	for i := range fragments {
		op := ws.OpText
		if i > 0 {
			op = ws.OpContinuation
		}
		part := payload[len(payload)*i/fragments : len(payload)*(i+1)/fragments]
		f := ws.NewFrame(op, i == fragments-1, []byte(part))
		if i == 0 {
			f.Header.Rsv = ws.Rsv(true, false, false)
		}
		in = append(in, ws.MustCompileFrame(ws.MaskFrame(f))...)
	}
	return in
}

func TestInflate(t *testing.T) {
	t.Parallel()
	const limit = 200_000
	random := make([]byte, limit)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(random)
	noise := string(random)
	var copied bytes.Buffer // refers to what was before it
	w, err := flate.NewWriterDict(&copied, 9, random[:1000])
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(random[:1000])
	_ = w.Flush()
	again := strings.TrimSuffix(copied.String(), deflateTail)
	tests := []struct {
		name, in, want string
		code           CloseCode
	}{
		{"7.2.3.1 one block", "\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello", 0},
		{"7.2.3.2 a window that was not kept", "\xf2\x00\x11\x00\x00", "", CloseBadText},
		{"7.2.3.3 block without compression", "\x00\x05\x00\xfa\xffHello\x00", "Hello", 0},
		{"7.2.3.4 final block", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello", 0},
		{"7.2.3.5 two blocks", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello", 0},
		{"7.2.3.6 empty", "\x00", "", 0},
		{"7.2.1 final block before others", finalText("Hel") + deflatedText(t, "lo", 9), "Hello", 0},
		{"7.2.1 window over a final block", finalText(noise[:1000]) + again, noise[:1000] + noise[:1000], 0},
		{"7.2.1 window over a final block behind scratch", finalText(noise[5000:5000+3*inflateBatch/2]+noise[:1000]) + again,
			noise[5000:5000+3*inflateBatch/2] + noise[:1000] + noise[:1000], 0},
		{"window of nothing", again, "", CloseBadText},
		{"7.2.1 many final blocks", strings.Repeat("\x03\x00", 40) + "\x00", "", 0},
		{"more final blocks than are waited for", strings.Repeat("\x03\x00", 4000) + "\x00", "", CloseBadText},
		{"no bytes at all", "", "", CloseBadText},
		{"block of a type that is none", "\x07", "", CloseBadText},
		{"cut off", deflatedText(t, strings.Repeat("Hello, ", 100)+noise[:100], 9)[:60], "", CloseBadText},
		{"something behind the end", finalText("Hello") + "\xff", "", CloseBadText},
		{"just fits scratch", deflatedText(t, noise[:inflateBatch], 1), noise[:inflateBatch], 0},
		{"one more than fits scratch", deflatedText(t, noise[:inflateBatch+1], 1), noise[:inflateBatch+1], 0},
		{"final blocks around scratch", finalText(noise[:inflateBatch]) + finalText(noise[:inflateBatch]) + deflatedText(t, noise[:9], 1),
			noise[:inflateBatch] + noise[:inflateBatch] + noise[:9], 0},
		{"as much as may be", deflatedText(t, noise, 9), noise, 0},
		{"as much as may be, small", deflatedText(t, strings.Repeat("x", limit), 9), strings.Repeat("x", limit), 0},
		{"one more", deflatedText(t, noise+"x", 9), "", CloseTooBig},
		{"far more", deflatedText(t, strings.Repeat("x", 100*limit), 9), "", CloseTooBig},
	}
	p := newInflater() // one for all: nothing of a message is left to the next
	for _, test := range tests {
		got, f := p.inflate([]byte(test.in), limit)
		if f.code != test.code || test.code == 0 && string(got) != test.want {
			t.Errorf("%s: inflate() = %d bytes, fault %v; want %d bytes and fault %d", test.name, len(got), f, len(test.want), test.code)
		}
		if cap(got) > len(got)+len(got)/4+64 {
			t.Errorf("%s: %d bytes were taken for %d", test.name, cap(got), len(got))
		}
	}
}

// A bomb of 1000:1 is refused, and costs less memory than the limit: what it would be is measured, not made. Not
// parallel: it measures what is allocated.
func TestBombCostsNoMemory(t *testing.T) {
	const limit, bombs = 1 << 20, 10
	for name, text := range map[string]string{
		"just above the limit": strings.Repeat("x", limit+1),
		"1000:1":               strings.Repeat("x", 20*limit),
	} {
		for _, fragments := range []int{1, 100} {
			in := packedFrames(deflatedText(t, text, 9), fragments)
			feed(limit, in, inputSize, true) // fills the pools
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range bombs {
				_, written := feed(limit, in, inputSize, true)
				if len(written) < 4 || string(written[2:4]) != "\x03\xf1" {
					t.Fatalf("%s: the client was sent %q, want a close with 1009", name, written)
				}
			}
			runtime.ReadMemStats(&after)
			if got := (after.TotalAlloc - before.TotalAlloc) / bombs; got > limit {
				t.Errorf("%s in %d fragments: %d bytes were allocated for a message that may have %d", name, fragments, got, limit)
			}
		}
	}
}

// mostWaiting is a session that notes how much it was handed at once.
type mostWaiting struct{ texts, bytes, most int }

func (r *mostWaiting) begin(texts [][]byte, _ []Key, _ *atomic.Bool) *intake {
	sum := 0
	for _, text := range texts {
		sum += len(text)
	}
	r.texts, r.bytes, r.most = r.texts+len(texts), r.bytes+sum, max(r.most, sum)
	return nil
}
func (r *mostWaiting) prove(keys []Key, _ []byte) []Key { return keys }
func (r *mostWaiting) Detach()                          {}

// Many messages of one read, each a thousand times as long as it was sent, are not all held at once.
func TestManyInflatedMessages(t *testing.T) {
	t.Parallel()
	const size, n = 60_000, 300
	one := packedFrames(deflatedText(t, strings.Repeat("x", size), 9), 1)
	if len(one) > size/500 {
		t.Fatalf("a message of %d bytes has %d compressed", size, len(one))
	}
	var r mostWaiting
	c := newConn(limitedHandler(size), &sink{})
	c.session, c.compress = &r, true
	c.take(bytes.Repeat(one, n))
	if r.texts != n || r.bytes != n*size {
		t.Errorf("%d texts of %d bytes came, want %d of %d", r.texts, r.bytes, n, n*size)
	}
	if r.most >= inflateBatch+size {
		t.Errorf("%d bytes were held at once, want less than %d", r.most, inflateBatch+size)
	}
}

// A message to many sockets is compressed once, and the writers of all of them find its frame.
func TestCompressedOnce(t *testing.T) {
	t.Parallel()
	var d deflater
	d.setUp(&Compression{})
	var texts [20][]byte
	for i := range texts {
		texts[i] = []byte(strings.Repeat(fmt.Sprint("message ", i, " "), 100))
	}
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			p := newInflater()
			for range 50 {
				for _, text := range texts {
					frame := d.appendFrame([]byte("before"), text)[len("before"):]
					if frame[0] != 0x80|rsv1|byte(ws.OpText) || int(frame[1]) != len(frame)-2 {
						t.Errorf("%d bytes begin with % x, want the header of a compressed text", len(frame), frame[:2])
					}
					if got, f := p.inflate(frame[2:], 1<<20); f.code != 0 || !bytes.Equal(got, text) {
						t.Errorf("a frame of %.20q holds %.20q, %v", text, got, f)
					}
				}
			}
		})
	}
	writers.Wait()
	for _, text := range texts {
		slot := &d.recent[maphash.Bytes(d.seed, text)%uint64(len(d.recent))]
		first := d.appendFrame(nil, text)
		known := slot.Value()
		again := d.appendFrame(nil, text)
		if known != nil && slot.Value() != known || !bytes.Equal(first, again) {
			t.Errorf("%.20q was compressed again", text)
		}
		runtime.KeepAlive(known)
	}
	runtime.GC()
	runtime.GC()
	for i := range d.recent {
		if d.recent[i].Value() != nil {
			t.Errorf("frame %d is held after nobody wanted it", i)
		}
	}
}

// So is one of the largest that a client may send by default, to which the server adds the sender's name, all in escapes.
func TestLargestMessageIsCompressedOnce(t *testing.T) {
	t.Parallel()
	var d deflater
	d.setUp(&Compression{})
	text := bytes.Repeat([]byte("a"), defaultMaxMessage+len(`,"from":""`)+6*MaxName)
	slot := &d.recent[maphash.Bytes(d.seed, text)%uint64(len(d.recent))]
	for range 100 { // the frame goes with the next garbage collection, which may come at any time
		d.appendFrame(nil, text)
		if slot.Value() != nil {
			return
		}
	}
	t.Errorf("no frame of %d bytes is remembered", len(text))
}

// What compression makes no smaller goes out as it is.
func TestNotWorthCompressing(t *testing.T) {
	t.Parallel()
	random := make([]byte, 1000)
	r := rand.NewChaCha8([32]byte{2})
	_, _ = r.Read(random)
	var d deflater
	d.setUp(&Compression{Level: 9})
	if got, want := d.appendFrame(nil, random), append(appendHeader(nil, ws.OpText, len(random)), random...); !bytes.Equal(got, want) {
		t.Errorf("the frame begins % x, want % x", got[:4], want[:4])
	}
}

// RFC 6455, section 9.1, and RFC 7692, sections 5 and 7.1: what is offered, and what is agreed on.
func TestNegotiateDeflate(t *testing.T) {
	t.Parallel()
	const (
		plain     = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		window    = plain + "; server_max_window_bits=15"
		malformed = "malformed"
	)
	tests := []struct{ section, offered, want string }{
		{"5.1", "", ""},
		{"5.1", " ", ""},
		{"5.1", "permessage-deflate", plain},
		{"5.1", "foo, bar; baz=1", ""},
		{"5.1", "foo, permessage-deflate", plain},
		{"5.1", "PERMESSAGE-DEFLATE", ""},
		{"5.1", "permessage-bzip2", ""},
		{"5.1", "x-webkit-deflate-frame", ""},
		{"7.1.1.1", "permessage-deflate; server_no_context_takeover", plain},
		{"7.1.1.1", "permessage-deflate; server_no_context_takeover=1", ""},
		{"7.1.1.1", "permessage-deflate; server_no_context_takeover; server_no_context_takeover", ""},
		{"7.1.1.2", "permessage-deflate; client_no_context_takeover", plain},
		{"7.1.1.2", "permessage-deflate; client_no_context_takeover=\"a\"", ""},
		{"7.1.1.2", "permessage-deflate;client_no_context_takeover;server_no_context_takeover", plain},
		{"7.1.2.1", "permessage-deflate; server_max_window_bits=15", window},
		{"7.1.2.1", "permessage-deflate; server_max_window_bits=\"15\"", window},
		{"7.1.2.1", "permessage-deflate; server_max_window_bits=\"\\1\\5\"", window},
		{"7.1.2.1", "permessage-deflate; server_max_window_bits=14", ""},
		{"7.1.2.1", "permessage-deflate; server_max_window_bits=8", ""},
		{"7.1.2.1", "permessage-deflate; server_max_window_bits=16", ""},
		{"7.1.2.1", "permessage-deflate; server_max_window_bits=015", ""},
		{"7.1.2.1", "permessage-deflate; server_max_window_bits", ""},
		{"7.1.2.2", "permessage-deflate; client_max_window_bits", plain},
		{"7.1.2.2", "permessage-deflate; client_max_window_bits=8", plain},
		{"7.1.2.2", "permessage-deflate; client_max_window_bits=15", plain},
		{"7.1.2.2", "permessage-deflate; client_max_window_bits=7", ""},
		{"7.1.2.2", "permessage-deflate; client_max_window_bits=16", ""},
		{"7.1.2.2", "permessage-deflate; client_max_window_bits=08", ""},
		{"7.1.2.2", "permessage-deflate; client_max_window_bits=x", ""},
		{"7.1.2.2", "permessage-deflate; client_max_window_bits; client_max_window_bits", ""},
		{"7.1.2.2", "permessage-deflate; client_max_window_bits; client_max_window_bits=10", ""},
		{"7.1", "permessage-deflate; mode=fast", ""},
		{"7.1", "permessage-deflate; Server_no_context_takeover", ""},
		{"5.2", "permessage-deflate; server_max_window_bits=10, permessage-deflate", plain},
		{"5.2", "permessage-deflate; unknown, permessage-deflate; server_max_window_bits=15", window},
		{"5.2", "permessage-deflate, permessage-deflate; server_max_window_bits=15", plain},
		{"5.2", "permessage-deflate; server_max_window_bits=10|foo|permessage-deflate; client_max_window_bits", plain},
		{"9.1", ", ,permessage-deflate ,, ", plain},
		{"9.1", "\tpermessage-deflate\t;\tclient_max_window_bits\t=\t15\t", plain},
		{"9.1", ";", malformed},
		{"9.1", "permessage-deflate;", malformed},
		{"9.1", "permessage-deflate; =1", malformed},
		{"9.1", "permessage-deflate; client_max_window_bits=", malformed},
		{"9.1", "permessage-deflate; client_max_window_bits=\"", malformed},
		{"9.1", "permessage-deflate; client_max_window_bits=\"\"", malformed},
		{"9.1", "permessage-deflate; client_max_window_bits=\"1", malformed},
		{"9.1", "permessage-deflate; client_max_window_bits=\"1\\", malformed},
		{"9.1", "permessage-deflate; client_max_window_bits=\"1 5\"", malformed},
		{"9.1", "permessage-deflate; client_max_window_bits=\"15\" x", malformed},
		{"9.1", "permessage-deflate client_max_window_bits", malformed},
		{"9.1", "permessage-deflate; a=b=c", malformed},
		{"9.1", "permessage/deflate", malformed},
		{"9.1", "permessage-d\xc3\xa9flate", malformed},
		{"9.1", "permessage-deflate, \"foo\"", malformed},
		{"9.1", "permessage-deflate|;", malformed},
	}
	for _, test := range tests {
		got, ok := negotiateDeflate(strings.Split(test.offered, "|"))
		if !ok {
			got = malformed
		}
		if got != test.want {
			t.Errorf("%s: negotiateDeflate(%q) = %q, want %q", test.section, test.offered, got, test.want)
		}
	}
}

func TestCompressionCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []*Compression{{Threshold: -1}, {Level: -2}, {Level: 10}} {
		if c.check() == nil {
			t.Errorf("%+v passes", *c)
		}
	}
	for _, c := range []*Compression{nil, {}, {Threshold: 1, Level: 9}} {
		if err := c.check(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// BenchmarkCompress makes the frame of a text that is new, and the frame of one that was just written to another socket.
func BenchmarkCompress(b *testing.B) {
	words := strings.Fields("the of and to in is you that it he was for on are as with his they at be this have from")
	r := rand.New(rand.NewPCG(1, 2))
	text := []byte(`{"id":"0198f6a2-5e1c-7b3a","type":"direct","dest":"bob","data":"`)
	for len(text) < 2000 {
		text = append(append(text, words[r.IntN(len(words))]...), ' ')
	}
	for _, again := range []bool{false, true} {
		b.Run(fmt.Sprintf("again=%v", again), func(b *testing.B) {
			var d deflater
			d.setUp(&Compression{})
			var dst []byte
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if !again {
					text[10], text[11], text[12] = byte('a'+i%26), byte('a'+i/26%26), byte('a'+i/26/26%26)
				}
				dst = d.appendFrame(dst[:0], text)
			}
		})
	}
}
