package bachata

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// maxControl is the largest payload of a control frame (RFC 6455, section 5.5).
const maxControl = ws.MaxControlFramePayloadSize

// wholeText is the first byte of a text frame that is a whole message.
const wholeText = 0x80 | byte(ws.OpText)

// fault is a breach of RFC 6455 by the client: what the connection is closed with. The zero fault is none.
type fault struct {
	code   CloseCode
	reason string
}

// readHeader reads the header of the frame at the start of b and returns its size, or zero if b holds too little of
// it. It is checked as far as it is there, so that two wrong bytes are enough to be refused. open says that a
// fragmented message is under way, deflate that permessage-deflate was agreed on.
func readHeader(b []byte, open, deflate bool) (h ws.Header, size int, f fault) {
	if len(b) < 2 {
		return h, 0, fault{}
	}
	h.Fin = b[0]&0x80 != 0
	h.Rsv = b[0] & 0x70 >> 4
	h.OpCode = ws.OpCode(b[0] & 0x0f)
	h.Masked = b[1]&0x80 != 0
	h.Length = int64(b[1] & 0x7f)
	if open || b[0] != wholeText || !h.Masked { // else nothing can be wrong yet
		state := ws.StateServerSide
		if open {
			state = state.Set(ws.StateFragmented)
		}
		if deflate && b[0]&0x70 == rsv1 && (h.OpCode == ws.OpText || h.OpCode == ws.OpBinary) {
			state = state.Set(ws.StateExtended) // nothing else may carry the bit (RFC 7692, section 6)
		}
		if err := ws.CheckHeader(h, state); err != nil {
			return h, 0, fault{CloseProtocolError, err.Error()}
		}
	}

	size = 2
	switch h.Length {
	case 126:
		if len(b) < 4 {
			return h, 0, fault{}
		}
		h.Length, size = int64(binary.BigEndian.Uint16(b[2:])), 4
		if h.Length < 126 {
			return h, 0, fault{CloseProtocolError, "length is not in its shortest form"}
		}
	case 127:
		if len(b) < 10 {
			return h, 0, fault{}
		}
		n := binary.BigEndian.Uint64(b[2:])
		if n>>63 != 0 {
			return h, 0, fault{CloseProtocolError, "length has its highest bit set"}
		}
		if n <= 0xffff {
			return h, 0, fault{CloseProtocolError, "length is not in its shortest form"}
		}
		h.Length, size = int64(n), 10
	}
	if len(b) < size+4 {
		// The length is known before the mask is: size is not, but what is too big can be refused now.
		return h, 0, fault{}
	}
	copy(h.Mask[:], b[size:])
	return h, size + 4, fault{}
}

// unmask unmasks payload, and reports whether it is known to be ASCII then.
func unmask(payload []byte, mask [4]byte) (ascii bool) {
	const short = 1 << 10 // from there on two passes with wide registers are faster
	if len(payload) > short {
		ws.Cipher(payload, mask, 0)
		return false // as far as is known
	}
	four := uint64(binary.LittleEndian.Uint32(mask[:]))
	eight := four<<32 | four
	var all uint64
	i := 0
	for ; i+8 <= len(payload); i += 8 {
		x := binary.LittleEndian.Uint64(payload[i:]) ^ eight
		binary.LittleEndian.PutUint64(payload[i:], x)
		all |= x
	}
	for ; i < len(payload); i++ {
		payload[i] ^= mask[i%4]
		all |= uint64(payload[i])
	}
	return all&highBits == 0
}

// appendHeader appends the header of a frame that is whole and, as a server's must be, not masked.
func appendHeader(dst []byte, op ws.OpCode, length int) []byte {
	first := 0x80 | byte(op)
	switch {
	case length < 126:
		return append(dst, first, byte(length))
	case length <= 0xffff:
		return binary.BigEndian.AppendUint16(append(dst, first, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(dst, first, 127), uint64(length))
}

// appendControl appends a control frame; what is too long for one is cut.
func appendControl(dst []byte, op ws.OpCode, payload []byte) []byte {
	payload = payload[:min(len(payload), maxControl)]
	return append(appendHeader(dst, op, len(payload)), payload...)
}

// appendClose appends a close frame; code zero is a frame without a code, and one that may not be sent is told as 1011.
// A reason that is too long is cut between two characters.
func appendClose(dst []byte, code CloseCode, reason string) []byte {
	if code == 0 {
		return appendHeader(dst, ws.OpClose, 0)
	}
	if !mayClose(code) {
		code = CloseInternal
	}
	reason = strings.ToValidUTF8(reason, "\ufffd")
	if cut := maxControl - 2; len(reason) > cut {
		for cut > 0 && !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = reason[:cut]
	}
	dst = appendHeader(dst, ws.OpClose, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// readClose reads the payload of a close frame; a payload without a code gives zero.
func readClose(payload []byte) (CloseCode, fault) {
	if len(payload) == 0 {
		return 0, fault{}
	}
	if len(payload) == 1 {
		return 0, fault{CloseProtocolError, "close code has one byte"}
	}
	code := CloseCode(binary.BigEndian.Uint16(payload))
	if !mayClose(code) {
		return 0, fault{CloseProtocolError, "close code is not one to send"}
	}
	if !utf8.Valid(payload[2:]) {
		return 0, fault{CloseBadText, "close reason is not UTF-8"}
	}
	return code, fault{}
}

// mayClose reports whether a peer may send code: those of RFC 6455, section 7.4.1, those registered since (1012 to
// 1014), and the ranges that are free for libraries and applications.
func mayClose(code CloseCode) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
		return true
	}
	return false
}
