//go:build linux

// Package load holds the clients that the servers are compared under.
package load

import (
	"bytes"
	"fmt"

	"github.com/bachata-go/bachata/bench/internal/wire"
)

// A Dialect is how clients of a server talk. What a server sends is split into messages first: they stand on lines of
// their own where several come in one frame.
type Dialect struct {
	Hello string // sent first, if not empty
	// Message is what the sender from writes to dest.
	Message func(from, dest string, n int) string
	// Confirm is what a receiver answers to a message of from with that id.
	Confirm func(from string, id string) string
	// Join is put between the texts that are sent at once in one frame; empty: each is a frame.
	Join string

	accepted, delivered, receipt, refused []byte // how these messages begin
	ping                                  string // a text that is answered with itself
}

// Bachata is the wire of PROTOCOL.md.
var Bachata = &Dialect{
	Message:   func(_, dest string, n int) string { return wire.Message(dest, n) },
	Confirm:   func(_ string, id string) string { return wire.Confirm(id) },
	accepted:  []byte(`{"type":100,`),
	delivered: []byte(`{"id":"`),
	receipt:   []byte(`{"type":300`),
	refused:   []byte(`{"type":4`),
}

// Centrifuge is that of centrifuge, in JSON. The work is the same: a message is published to the receiver's channel (its
// reply is the 100, its push the delivery), the receiver answers with an asynchronous message, which has no reply, as a
// 200 has none, and which the server publishes to the sender's channel (that push is the 300). What a client sends at
// once goes in one frame.
var Centrifuge = &Dialect{
	Hello: `{"id":1,"connect":{}}`,
	Message: func(_, dest string, n int) string {
		return fmt.Sprintf(`{"id":%d,"publish":{"channel":"%s","data":%s}}`, n%(1<<30)+2, dest, wire.Message(dest, n))
	},
	Confirm:   func(from, id string) string { return `{"send":{"data":"` + from + id + `"}}` },
	Join:      "\n",
	accepted:  []byte(`{"id":`),
	delivered: []byte(`{"push":{"channel":"`),
	receipt:   []byte(`{"push":{"channel":"a`),
	refused:   []byte(`{"error"`),
	ping:      "{}",
}

// Kind is what a message from the server is.
type Kind int

// What the loads tell apart.
const (
	Other     Kind = iota
	Accepted       // 100
	Delivered      // a message
	Receipt        // 300
	refused
	pinged
)

func (d *Dialect) kind(text []byte) Kind {
	switch {
	case bytes.HasPrefix(text, d.receipt):
		return Receipt
	case bytes.HasPrefix(text, d.delivered):
		return Delivered
	case bytes.HasPrefix(text, d.accepted):
		if d.ping != "" && bytes.Contains(text, []byte(`,"error":`)) {
			return refused
		}
		return Accepted
	case bytes.HasPrefix(text, d.refused):
		return refused
	case d.ping != "" && string(text) == d.ping:
		return pinged
	}
	return Other
}

// IDOf returns the id in a message that was delivered.
func (d *Dialect) IDOf(text []byte) string {
	mark := wire.Message("", 0)[:wire.IDAt]
	at := bytes.Index(text, []byte(mark)) + len(mark)
	return string(text[at : at+wire.IDDigits])
}

// appendText appends a text to the frames, or to what will be one.
func (d *Dialect) appendText(out, joined []byte, text string) (frames, lines []byte) {
	if d.Join == "" {
		return wire.AppendClient(out, wire.Text, text), joined
	}
	if len(joined) > 0 {
		joined = append(joined, d.Join...)
	}
	return out, append(joined, text...)
}
