package main

import (
	"encoding/binary"
	"fmt"
)

// What goes over the wire has a fixed length, so that the floor can count bytes instead of reading them.

const idDigits = 16

// messageText is the message number n of the pair: 150 bytes with its "from".
func messageText(pair, n int) string {
	return fmt.Sprintf(`{"id":"%016x","type":"direct","time":1763900000000,"dest":"b%04d","data":{"text":"Are you coming tonight? We start at eight."}}`, n, pair)
}

// delivered is the same message as the receiver gets it.
func delivered(pair, n int) string {
	text := messageText(pair, n)
	return fmt.Sprintf(`%s,"from":"a%04d"}`, text[:len(text)-1], pair)
}

func acceptedText(n int) string { return fmt.Sprintf(`{"type":100,"data":"%016x"}`, n) }
func confirmText(n int) string  { return fmt.Sprintf(`{"type":200,"data":"%016x"}`, n) }

func deliveredText(pair, n int) string {
	return fmt.Sprintf(`{"type":300,"data":"%016x","from":"b%04d","dest":"b%04d","time":1763900000000}`, n, pair, pair)
}

// idAt is where the id of a message begins in its text.
const idAt = len(`{"id":"`)

// appendClientFrame appends text as a masked text frame (RFC 6455, section 5.2). The mask is zero, which costs the
// server the same as any other.
func appendClientFrame(dst []byte, text string) []byte {
	dst = append(dst, 0x81)
	if len(text) < 126 {
		dst = append(dst, 0x80|byte(len(text)))
	} else {
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(len(text)))
	}
	return append(append(dst, 0x11, 0x22, 0x33, 0x44), masked(text)...)
}

func masked(text string) []byte {
	b := []byte(text)
	mask := [4]byte{0x11, 0x22, 0x33, 0x44}
	for i := range b {
		b[i] ^= mask[i%4]
	}
	return b
}

func appendServerFrame(dst []byte, text string) []byte {
	dst = append(dst, 0x81)
	if len(text) < 126 {
		dst = append(dst, byte(len(text)))
	} else {
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(len(text)))
	}
	return append(dst, text...)
}

// nextFrame splits the first frame of a server off data; ok is false if it is not whole.
func nextFrame(data []byte) (opcode byte, payload, rest []byte, ok bool) {
	if len(data) < 2 {
		return 0, nil, data, false
	}
	n, at := int(data[1]&0x7f), 2
	switch n {
	case 126:
		if len(data) < 4 {
			return 0, nil, data, false
		}
		n, at = int(binary.BigEndian.Uint16(data[2:])), 4
	case 127:
		if len(data) < 10 {
			return 0, nil, data, false
		}
		n, at = int(binary.BigEndian.Uint64(data[2:])), 10
	}
	if len(data) < at+n {
		return 0, nil, data, false
	}
	return data[0] & 0x0f, data[at : at+n], data[at+n:], true
}
