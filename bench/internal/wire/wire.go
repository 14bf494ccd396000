// Package wire builds the frames that the loads send and the floors answer with. What goes over the wire has a fixed
// length, so that a floor can count bytes instead of reading them.
package wire

import (
	"encoding/binary"
	"fmt"
)

// IDDigits is the length of every id, and IDAt where that of a message begins in its text.
const (
	IDDigits = 16
	IDAt     = len(`{"id":"`)
)

// NameLen is the length of every channel's name: a for the senders of pairs, b for their receivers, s for the sender of a
// fan-out, r for its receivers, i for who only listens; and four digits.
const NameLen = 5

// Name returns a channel's name.
func Name(kind byte, n int) string { return fmt.Sprintf("%c%04d", kind, n) }

// GroupName is what the sender of a fan-out writes to.
const GroupName = "group"

const body = `"data":{"text":"Are you coming tonight? We start at eight."}}`

// Message is the message n to dest, 150 bytes with its "from".
func Message(dest string, n int) string {
	return fmt.Sprintf(`{"id":"%016x","type":"direct","time":1763900000000,"dest":"%s",%s`, n, dest, body)
}

// Delivered is the same message as its receivers get it.
func Delivered(from, dest string, n int) string {
	text := Message(dest, n)
	return fmt.Sprintf(`%s,"from":"%s"}`, text[:len(text)-1], from)
}

// Accepted is a 100.
func Accepted(n int) string { return fmt.Sprintf(`{"type":100,"data":"%016x"}`, n) }

// Confirm is a 200 for the message with that id.
func Confirm(id string) string { return `{"type":200,"data":"` + id + `"}` }

// Receipt is a 300.
func Receipt(from, dest string, n int) string {
	return fmt.Sprintf(`{"type":300,"data":"%016x","from":"%s","dest":"%s","time":1763900000000}`, n, from, dest)
}

// Opcodes (RFC 6455, section 5.2).
const (
	Text  = 0x1
	Close = 0x8
	Ping  = 0x9
	Pong  = 0xa
)

var mask = [4]byte{0x11, 0x22, 0x33, 0x44}

// AppendClient appends a frame as a client sends it, masked (RFC 6455, section 5.3).
func AppendClient(dst []byte, opcode byte, payload string) []byte {
	dst = append(dst, 0x80|opcode)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	dst = append(dst, mask[:]...)
	at := len(dst)
	dst = append(dst, payload...)
	for i := range dst[at:] {
		dst[at+i] ^= mask[i%4]
	}
	return dst
}

// AppendServer appends a text frame as a server sends it.
func AppendServer(dst []byte, text string) []byte {
	dst = append(dst, 0x80|Text)
	if len(text) < 126 {
		dst = append(dst, byte(len(text)))
	} else {
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(len(text)))
	}
	return append(dst, text...)
}

// Next splits the first frame of a server off data; ok is false if it is not whole.
func Next(data []byte) (opcode byte, payload, rest []byte, ok bool) {
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

// Handshake is the request of a client that wants to be channel name.
func Handshake(name string) string {
	return fmt.Sprintf("GET /messages?channel=%s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", name)
}

// Switching is the answer to Handshake.
const Switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

// Ready is the first message of a server.
const Ready = `{"type":1000,"dedupe":3600000,"max":65536,"from":"a0000"}`
