package bachata

import (
	"math"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// assembler makes whole messages of the bytes that a client sent. It holds memory only while a frame or a message is
// incomplete, and never more than has arrived: announced lengths are compared with the limit, not believed.
type assembler struct {
	partial []byte // the start of a frame whose end has not come
	message []byte // the fragments so far of a message whose last one has not come
	open    bool   // such a message is under way; its fragments may be empty
	packed  bool   // the message under way, or the last one, is compressed
	deflate bool   // permessage-deflate was agreed on
}

// happening is what the next frame of the input means.
type happening struct {
	op      ws.OpCode // OpText: a whole message, of text or binary frames; OpPing, OpPong, OpClose; else nothing to do
	payload []byte    // unmasked; part of the input, or the assembler gave it away
	packed  bool      // the payload is compressed, and was not checked
	code    CloseCode // of OpClose
	fault   fault
}

// add returns all bytes that are to be taken apart: those left over, and b behind them.
func (a *assembler) add(b []byte) []byte {
	if len(a.partial) == 0 {
		return b
	}
	a.partial = append(a.partial, b...)
	return a.partial
}

// keep remembers rest, the end of what add returned, for the next bytes.
func (a *assembler) keep(rest []byte) {
	switch {
	case len(rest) == 0:
		a.partial = nil
	case len(a.partial) == len(rest):
		// nothing was taken, it lies where it should
	default:
		// Copied even if it lies in partial already: the big message before it is not to be held for a few bytes.
		a.partial = append([]byte(nil), rest...)
	}
}

// empty reports whether nothing is incomplete.
func (a *assembler) empty() bool { return len(a.partial) == 0 && !a.open }

// next takes the first frame of b, which it unmasks in place, and returns how many bytes it had: zero if it is not
// whole yet. limit bounds a message, in bytes, over all its fragments. A compressed one may exceed it by what deflate at
// worst adds: whoever inflates it holds the limit.
func (a *assembler) next(b []byte, limit int) (hp happening, n int) {
	h, size, f := readHeader(b, a.open, a.deflate)
	if f.code != 0 {
		return happening{fault: f}, 0
	}
	if h.OpCode == ws.OpText || h.OpCode == ws.OpBinary {
		a.packed = h.Rsv != 0
	}
	if more := limit/8 + 64; a.packed && limit < math.MaxInt-more {
		limit += more
	}
	if h.OpCode.IsData() && h.Length > int64(limit-len(a.message)) {
		return happening{fault: fault{CloseTooBig, "message is too big"}}, 0
	}
	if size == 0 || int64(len(b)-size) < h.Length {
		return happening{}, 0
	}
	n = size + int(h.Length)
	payload := b[size:n:n]
	ascii := unmask(payload, h.Mask)
	if h.OpCode.IsControl() {
		hp = happening{op: h.OpCode, payload: payload}
		if h.OpCode == ws.OpClose {
			hp.code, hp.fault = readClose(payload)
		}
		return hp, n
	}

	if a.open || !h.Fin {
		a.message = append(a.message, payload...)
		if a.open = !h.Fin; a.open {
			return happening{op: ws.OpContinuation}, n
		}
		payload, a.message = a.message, nil
		ascii = false
	}
	if a.packed {
		return happening{op: ws.OpText, payload: payload, packed: true}, n
	}
	if !ascii && !utf8.Valid(payload) {
		return happening{fault: fault{CloseBadText, "message is not UTF-8"}}, n
	}
	return happening{op: ws.OpText, payload: payload}, n
}
