package bachata

import (
	"bytes"
	"compress/flate"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"
	"weak"

	"github.com/gobwas/ws"
)

// Compression is how a Handler compresses: by permessage-deflate (RFC 7692), for the clients that offer it, each message
// by itself. Neither side keeps a window from one message to the next, so that an idle connection costs no more with it.
//
// What is compressed shows in its length how much of it repeats. Where others can watch the line and also have text
// of theirs put into a message beside a secret, leave compression off, or the secret out.
type Compression struct {
	// Threshold is the size in bytes from which on a message is compressed for the client. Default 512.
	// What clients send may be compressed at any size.
	Threshold int
	// Level is that of compress/flate, from 1 (fastest) to 9 (smallest). Default 1.
	Level int
}

const (
	rsv1        = 0x40 // the bit in a frame's first byte that says "compressed"
	deflateTail = "\x00\x00\xff\xff"
	inflateTail = deflateTail + "\x01\x00\x00\xff\xff" // an empty final block, so that the reader knows where to end

	windowSize   = 32 << 10
	inflateBatch = 64 << 10  // bytes of inflated messages that wait for the rest of an input to be inflated too
	mostFinals   = 64        // final blocks in a message; reading on behind one costs the copying of a window
	cachedText   = 128 << 10 // the largest message whose compressed frame is remembered: one of 64 KiB gets a "from" besides
)

func (c *Compression) check() error {
	switch {
	case c == nil:
		return nil
	case c.Threshold < 0:
		return fmt.Errorf("bachata: handler has a compression threshold of %d bytes", c.Threshold)
	case c.Level < 0 || c.Level > flate.BestCompression:
		return fmt.Errorf("bachata: handler has compression level %d, which is not from 1 to %d", c.Level, flate.BestCompression)
	}
	return nil
}

// deflater compresses for all connections of a handler.
type deflater struct {
	threshold int // zero: nothing is compressed
	level     int
	writers   sync.Pool

	// A message to many sockets is compressed once: they find the frame by the text. Weak, so that the frames go with
	// the next garbage collection, and an idle handler holds none.
	seed   maphash.Seed
	mu     sync.Mutex
	recent [64]weak.Pointer[deflated]
}

// deflated is a text with the frame that it makes.
type deflated struct{ text, frame []byte }

func (d *deflater) setUp(c *Compression) {
	if c == nil {
		return
	}
	d.threshold, d.level, d.seed = c.Threshold, c.Level, maphash.MakeSeed()
	orDefault(&d.threshold, 512)
	orDefault(&d.level, flate.BestSpeed)
}

// appendFrame appends text as one text frame, compressed if that makes it smaller.
func (d *deflater) appendFrame(dst, text []byte) []byte {
	if len(text) > cachedText {
		return d.compress(dst, text)
	}
	slot := maphash.Bytes(d.seed, text) % uint64(len(d.recent))
	d.mu.Lock()
	known := d.recent[slot].Value()
	d.mu.Unlock()
	if known == nil || !bytes.Equal(known.text, text) {
		known = &deflated{text: slices.Clone(text), frame: d.compress(nil, text)}
		d.mu.Lock()
		d.recent[slot] = weak.Make(known)
		d.mu.Unlock()
	}
	return append(dst, known.frame...)
}

func (d *deflater) compress(dst, text []byte) []byte {
	w, ok := d.writers.Get().(*deflateWriter)
	if !ok {
		w = new(deflateWriter)
		w.Writer, _ = flate.NewWriter(nil, d.level) // a level that setUp has checked
	}
	defer d.writers.Put(w)
	b := getBuffer()
	defer putBuffer(b)
	w.out = *b
	w.Reset(&w.out)
	_, _ = w.Write(text) // into memory, as Flush does
	_ = w.Flush()
	*b, w.out = w.out, nil
	payload := bytes.TrimSuffix(*b, []byte(deflateTail))
	if len(payload) >= len(text) {
		return append(appendHeader(dst, ws.OpText, len(text)), text...)
	}
	first := len(dst)
	dst = append(appendHeader(slices.Grow(dst, 10+len(payload)), ws.OpText, len(payload)), payload...)
	dst[first] |= rsv1
	return dst
}

type deflateWriter struct {
	*flate.Writer
	out appender
}

// appender is a slice to write to.
type appender []byte

// Write appends b.
func (a *appender) Write(b []byte) (int, error) {
	*a = append(*a, b...)
	return len(b), nil
}

// inflate replaces the payload of hp, a whole message, by what it was before it was compressed. What of bt was inflated
// before is handled first, if it is much: the input of one read may be a thousand times as long when it is inflated.
func (c *conn) inflate(bt *arrivals, hp *happening, inHook *atomic.Bool) {
	if bt.inflated >= inflateBatch {
		if in := c.deliver(bt, inHook); in != nil {
			in.end()
		}
		bt.inflated = 0
	}
	p, ok := inflaters.Get().(*inflater)
	if !ok {
		p = newInflater()
	}
	defer inflaters.Put(p)
	if hp.payload, hp.fault = p.inflate(hp.payload, c.h.maxMessage); hp.fault.code != 0 {
		return
	}
	bt.inflated += len(hp.payload)
	if !utf8.Valid(hp.payload) {
		hp.fault = fault{CloseBadText, "message is not UTF-8"}
	}
}

// inflaters are shared by all connections of all handlers.
var inflaters sync.Pool

// inflater decompresses one message after the other.
type inflater struct {
	r       resettable
	in      compressedInput
	scratch [inflateBatch]byte
}

// resettable is what flate.NewReader returns.
type resettable interface {
	io.Reader
	flate.Resetter
}

func newInflater() *inflater {
	p := new(inflater)
	p.r = flate.NewReader(&p.in).(resettable)
	return p
}

// inflate returns what b was, in memory of just that size. A message of more than limit bytes is refused before any is
// taken for it: one that does not fit into scratch is only measured first.
func (p *inflater) inflate(b []byte, limit int) ([]byte, fault) {
	defer func() { p.in = compressedInput{} }()
	size, whole, f := p.pass(p.scratch[:], true, b, limit)
	switch {
	case f.code != 0:
		return nil, f
	case whole:
		return slices.Clone(p.scratch[:size]), fault{}
	}
	out := make([]byte, size)
	_, _, f = p.pass(out, false, b, limit)
	return out, f
}

// pass inflates b into out and returns the size. With again, out is used again when it is full, for which whole is
// false.
func (p *inflater) pass(out []byte, again bool, b []byte, limit int) (size int, whole bool, f fault) {
	p.in = compressedInput{b, inflateTail}
	_ = p.r.Reset(&p.in, nil) // of compress/flate, it has no error
	n, finals, whole := 0, 0, true
	for {
		if again && n == len(out) {
			n, whole = copy(out, out[n-windowSize:]), false
		}
		m, err := p.r.Read(out[n:])
		n += m
		if size += m; size > limit {
			return 0, false, fault{CloseTooBig, "message is too big"}
		}
		switch {
		case err == io.EOF && len(p.in.b)+len(p.in.tail) == 0:
			return size, whole, fault{}
		case err == io.EOF && finals < mostFinals:
			// A final block in the middle: what follows may use what was before (RFC 7692, section 7.2.1).
			finals++
			_ = p.r.Reset(&p.in, out[max(0, n-windowSize):n])
		case err != nil:
			return 0, false, fault{CloseBadText, "message can't be decompressed"}
		}
	}
}

// compressedInput is a compressed message with what was cut off its end (RFC 7692, section 7.2.2).
type compressedInput struct {
	b    []byte
	tail string
}

// Read takes from both in turn.
func (in *compressedInput) Read(p []byte) (n int, err error) {
	n = copy(p, in.b)
	in.b = in.b[n:]
	if n == 0 {
		n = copy(p, in.tail)
		in.tail = in.tail[n:]
	}
	if n == 0 && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

// ReadByte keeps compress/flate from reading ahead, so that what is behind a final block is still here.
func (in *compressedInput) ReadByte() (byte, error) {
	var b [1]byte
	_, err := in.Read(b[:])
	return b[0], err
}
