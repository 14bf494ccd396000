package bachata

import "fmt"

// Code is the integer type of a transport message (PROTOCOL.md, "Transport messages").
type Code int

const (
	CodeAccepted  Code = 100  // server to sender: the message is as safe as the queue promises
	CodeReceived  Code = 200  // receiver to server: got it
	CodeDelivered Code = 300  // server to sender: a receiver confirmed it
	CodeRefused   Code = 400  // server to client: what was sent is refused, and why
	CodeExpired   Code = 480  // server to sender: it grew too old before anyone confirmed it
	CodeDropped   Code = 481  // server to sender: an inbox was full
	CodeReady     Code = 1000 // server to client: the connection is ready
	CodePing      Code = 1001 // either way: answer with a pong
	CodePong      Code = 1002 // either way: the answer to a ping
	CodeGoingAway Code = 1003 // server to client: reconnect in "data" milliseconds
	CodeGap       Code = 1004 // server to client: something that was meant for you is gone
)

// Reasons for a refusal: the "code" of a 400 (PROTOCOL.md, "Refusals").
const (
	RefusedSyntax      = "bad_json"    // not JSON, or JSON that breaks a rule of the envelope
	RefusedField       = "bad_field"   // a field of the envelope has a value that it can't have
	RefusedType        = "bad_type"    // no type, one that is neither string nor integer, or a code that clients don't send
	RefusedNoRoute     = "no_route"    // no route took the message
	RefusedRoute       = "route_error" // a route ended with an error
	RefusedInboxFull   = "inbox_full"  // every inbox that it was meant for is full
	RefusedUnavailable = "unavailable" // not known to be stored: send the same id again
	RefusedWindowFull  = "window_full" // too much is unconfirmed on this connection; nothing more is sent until a 200 comes
	RefusedFrom        = "bad_from"    // the client set "from", and the server is set not to overwrite it
	RefusedNotAllowed  = "not_allowed" // this sender may not do that
)

// A Refusal is an error that its client is told, as a 400: by Decode, by a route, by a hook. Its text must hold
// nothing that is not for the client.
type Refusal struct {
	Code   string // one of the Refused constants, or an application's own
	Reason string // for people
	ID     ID     // of the message, if it is known
}

// Error returns the code and the reason.
func (r *Refusal) Error() string { return fmt.Sprintf("bachata: refused (%s): %s", r.Code, r.Reason) }

// Transport is a transport message: one with an integer type.
type Transport struct {
	Code Code
	// IDs are what "data" names: the id of the message that it is about, or, in a 200, several.
	IDs []ID
	// From and Dest narrow a 200 down, and say in a receipt who confirmed and where it was sent.
	From, Dest string
	// Time is when a receipt's event happened, Unix milliseconds; zero leaves it out.
	Time int64

	Dup     bool     // of a 100: the message was accepted before
	Refusal *Refusal // of a 400

	// Of a 1000: the dedupe window and the largest frame that is taken.
	DedupeMillis int64
	MaxMessage   int64

	ReconnectMillis int64 // of a 1003
	Gap             Gap   // of a 1004
}

// Frame is one decoded frame: a Message if Transport.Code is zero, else a Transport.
type Frame struct {
	Message   Message
	Transport Transport
}

// IsTransport reports whether the frame holds a transport message.
func (f *Frame) IsTransport() bool { return f.Transport.Code != 0 }

// A Protocol turns frames into messages and back. Its methods may be called concurrently and keep no reference to
// the bytes that they are given.
type Protocol interface {
	// Decode reads one frame into f, whose former content is discarded (IDs keeps its storage). What is no message is
	// refused with a *Refusal, which carries the id if the frame had one that could be read.
	Decode(text []byte, f *Frame) error
	// AppendMessage appends the text of m to dst.
	AppendMessage(dst []byte, m *Message) []byte
	// AppendTransport appends the text of t to dst.
	AppendTransport(dst []byte, t *Transport) []byte
}
