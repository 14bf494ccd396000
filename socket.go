package bachata

// A Socket carries frames to one client: a WebSocket, or anything else that keeps frames apart and in order.
//
// The session calls Write from one goroutine at a time; Close may come from any, at any time.
type Socket interface {
	// AppendFrame appends text to dst as one frame of the carrier. It keeps no reference to either.
	AppendFrame(dst, text []byte) []byte
	// Write sends what AppendFrame and AppendPing built, in order, after all that was written before. It does not
	// block: what the network does not take at once is kept, up to a bound, past which the socket closes itself.
	// The bytes stay the caller's. An error means that the socket is closed, and has not taken all of them.
	Write(frames []byte) error
	// Close ends the socket after what was written; it may be called twice and does not block.
	Close(code CloseCode, reason string)
}

// A Barrier is a Socket that can prove what arrived: the session appends a ping behind the frames in question, and the
// driver calls Session.Pong with the payload that came back. Optional; without it, frames that nobody confirms are
// taken for arrived when they are written.
type Barrier interface {
	AppendPing(dst, payload []byte) []byte
}

// Buffered is a Socket that says how many bytes it keeps for a client that has not read them yet. What may be dropped is,
// and what a simple queue holds is left there, while that is much. Optional; it may be called at any time, from any
// goroutine, and while a queue is in the middle of a call: it must not block, nor call the center or the queue.
type Buffered interface {
	Buffered() int
}

// CloseCode is the status of a closed WebSocket (RFC 6455, section 7.4; PROTOCOL.md, "Close codes").
type CloseCode uint16

const (
	CloseNormal          CloseCode = 1000
	CloseGoingAway       CloseCode = 1001
	CloseProtocolError   CloseCode = 1002
	CloseUnsupported     CloseCode = 1003
	CloseBadText         CloseCode = 1007
	CloseTooBig          CloseCode = 1009
	CloseInternal        CloseCode = 1011
	CloseUnauthenticated CloseCode = 4401
	CloseNotAllowed      CloseCode = 4403
	CloseStopped         CloseCode = 4408 // stopped reading or confirming
	CloseTooMuch         CloseCode = 4429
)
