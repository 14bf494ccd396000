// Package history is the record of a run: what each client sent and saw, line by line, for a checker that reads it
// afterwards and knows nothing of the server.
//
// A history is a text file of JSON lines, one file a client. The first line is the Header, every other an Event. The
// times of all histories of a run come from one monotonic clock, so that they can be compared. A file that ends in the
// middle of a line belongs to a client that was killed: the rest of it counts.
package history

// Version is the format that is written here, and the only one that is read.
const Version = 1

// Header says whose history it is.
type Header struct {
	Version int `json:"history"`
	// Client names who wrote it: one application, with one memory of what it has seen, on one or more sockets.
	Client string `json:"client"`
	// Channel is the client's inbox; empty in the history of a server, which is no client.
	Channel string `json:"channel,omitempty"`
	// From is what the server was expected to show others as the client's name.
	From string `json:"from,omitempty"`
}

// Kind says what happened.
type Kind string

// What a client records. What it does is recorded before it is done, what it sees when it was seen.
const (
	Dial    Kind = "dial"    // a connection is about to be made: Conn
	Open    Kind = "open"    // the server said 1000: Conn, From
	Close   Kind = "close"   // the connection is gone: Conn, Reason
	Send    Kind = "send"    // a message: Conn, ID, Dest, To, Sum, Size
	Ack     Kind = "ack"     // a 100: Conn, ID, Dup
	Refuse  Kind = "refuse"  // a 400: Conn, ID (if it named one), Code, Reason
	Message Kind = "message" // a message on the wire, also a repeated one: Conn, ID, From, Dest, Sum, Size
	Show    Kind = "show"    // the same, once it was given to the application: Conn, ID, From
	Confirm Kind = "confirm" // a 200: Conn, ID, From (whose message is meant, also if the 200 did not say)
	Receipt Kind = "receipt" // a 300, 480 or 481 on the wire: Conn, ID, From (who confirmed), Dest, Code
	Tell    Kind = "tell"    // the same, once it was given to the application: Conn, ID, From, Code
	Gap     Kind = "gap"     // a 1004: Conn, Dropped, Expired, Receipts
	Quiet   Kind = "quiet"   // nothing is open any more: all was answered, all that waited was seen and confirmed
)

// What whoever runs the server records.
const (
	Start  Kind = "start"  // the process was started
	Ready  Kind = "ready"  // it takes connections
	Kill   Kind = "kill"   // it is about to be killed
	Exit   Kind = "exit"   // it has ended: Reason
	Pause  Kind = "pause"  // it is about to be stopped (SIGSTOP)
	Resume Kind = "resume" // it goes on (SIGCONT)
	Memory Kind = "memory" // its resident memory: Size
)

// Event is one line of a history. Which fields count is said at each Kind.
type Event struct {
	At   int64  `json:"at"` // nanoseconds since the run began
	Kind Kind   `json:"kind"`
	Conn int    `json:"conn,omitempty"` // numbered from 1 within the history
	ID   string `json:"id,omitempty"`   // its text: 5 and "5" are the same
	From string `json:"from,omitempty"`
	Dest string `json:"dest,omitempty"`
	// To are the channels that the message is meant for; none stands for the one that Dest names.
	To []string `json:"to,omitempty"`
	// Sum and Size are of the message's data, as it was spelled: its CRC-32 and its length in bytes.
	Sum  uint32 `json:"sum,omitempty"`
	Size int    `json:"size,omitempty"`
	// Code is the type of a receipt: 300, 480 or 481.
	Code   int    `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"` // of a 400 its code; else for people
	Dup    bool   `json:"dup,omitempty"`
	// What a 1004 counts.
	Dropped  int `json:"dropped,omitempty"`
	Expired  int `json:"expired,omitempty"`
	Receipts int `json:"receipts,omitempty"`
}

// History is one file, read.
type History struct {
	Header
	Events []Event
}
