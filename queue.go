package bachata

import (
	"context"
	"errors"
	"time"
)

// Errors that a Queue reports. Match them with errors.Is.
var (
	// ErrQueueClosed is returned by every method of a queue after its Close.
	ErrQueueClosed = errors.New("bachata: queue is closed")
	// ErrUnavailable wraps every failure after which the caller does not know whether the work was done,
	// or knows that it was not, and may try again: a failed sync, a full disk, a server that is away.
	ErrUnavailable = errors.New("bachata: queue is unavailable")
)

// A Queue keeps the inboxes: for each channel the messages that its receivers have not confirmed, in the order in
// which they were put. It stores bytes and knows neither protocol nor socket.
//
// All methods may be called concurrently. A context that ends makes a method return early; work that was
// already handed to the store may still be carried out. Byte slices and strings that a queue is given belong to it
// from then on and are never changed by either side; those that it returns are the caller's to keep, not to change.
//
// What a queue promises beyond this contract (mode, level of safety, atomicity) it states by Info, and the suite in
// package queuetest holds it to that.
type Queue interface {
	// Put appends each item to the inboxes of its channels, in order, and returns once that is as safe as
	// Info().Level says. The result has one entry an item. An error means that no item is known to be stored.
	//
	// In reliable mode an item with an id is known by (Origin, Dest, ID): put again while it is pending or within
	// the dedupe window it is the same message, whatever its content or channels: every channel is answered
	// Duplicate, after the same barrier as the first, and the receipts that it already has are put into the inbox
	// of Origin once more, with the id as this item spells it. Two items of one call may be the same message too.
	//
	// An inbox that is full answers Full, or drops its oldest message, as the queue was configured. If at least
	// one channel of an item took it, each Full channel is reported to Origin by a receipt with OutcomeDropped.
	// If all are full, nothing is stored and the id is not remembered.
	//
	// If an item is Unavailable on a channel, the later items of the call are Unavailable on it too.
	Put(ctx context.Context, items []Item) ([]PutResult, error)

	// Fetch reads the envelopes of channel after the cursor, in order, up to the limit; an envelope that alone is
	// larger than limit.Bytes is returned if it is the first. Zero is the start of the inbox. A cursor stays
	// valid when what it names has left. A reliable queue returns the same envelopes again to whoever asks; a simple
	// queue ignores the cursor and removes what it returns.
	Fetch(ctx context.Context, channel string, after Cursor, limit Limit) ([]Envelope, error)

	// Watch calls wake when channel may hold something new, until stop is called. wake must not block and may
	// be called from any goroutine, also before Watch returns and once after stop. Wake-ups carry no promise: they
	// may be lost, doubled or late. What was put before Watch returned needs a Fetch.
	Watch(channel string, wake func(Wake)) (stop func(), err error)

	// PopDelivered takes what the keys name off the inbox of channel and returns once that is as safe as the level
	// says. For each message with an id, an Origin and no NoReceipt it commits, together with the removal, one
	// receipt (OutcomeDelivered, From: by) into the inbox of Origin. by is the shown name of who confirms. Each key
	// takes one envelope at most; what is not there is not found, which is no error. Receipts and gaps are taken
	// by Cursor only and make no receipt. A simple queue finds nothing.
	PopDelivered(ctx context.Context, channel, by string, keys []Key) ([]Popped, error)

	// CheckDelivered reports whether no message that the key names waits in the inbox of channel any more.
	// A simple queue always says true.
	CheckDelivered(ctx context.Context, channel string, key Key) (bool, error)

	// Info states what the queue promises, now. It does not block.
	Info() Info
}

// Mode says how a queue hands out what it keeps.
type Mode int

const (
	// Reliable keeps a message until it is confirmed, knows resent ids and makes receipts.
	Reliable Mode = iota
	// Simple forgets a message when it hands it out: no dedupe, no receipts (PROTOCOL.md, "Simple mode").
	Simple
)

// String returns "reliable" or "simple".
func (m Mode) String() string {
	if m == Simple {
		return "simple"
	}
	return "reliable"
}

// Info is what a queue states of itself.
type Info struct {
	Name string // of the backend: "memory", "disk", "redis"
	Mode Mode
	// Level says in one sentence what "accepted" survives, for people: "survives kill -9 and power loss of this host".
	Level string
	// Durable is true if what was accepted survives the end of the process.
	Durable bool
	// Atomic is true if an item is committed to all its channels at once.
	Atomic bool
	// Immediate is true if Put, Fetch and PopDelivered never wait for anything but each other: for no disk and no server.
	Immediate bool
	// Dedupe is the window within which a resent id is recognized at this moment; it shrinks when the cap on
	// remembered ids is reached. Zero in simple mode.
	Dedupe time.Duration
}

// A Cursor is a position in one inbox. It is opaque and belongs to one reader on one node; zero is the start.
// Later envelopes of an inbox have larger cursors.
type Cursor uint64

// Limit bounds what Fetch returns. A field that is zero or less does not limit.
type Limit struct {
	Messages int
	Bytes    int // of payloads
}

// Item is one message to put.
type Item struct {
	// Channels are the inboxes to put it into, each named once.
	Channels []string
	// ID as the sender spelled it; the zero ID marks a message that is neither deduplicated nor receipted.
	ID ID
	// Origin is the channel of origin, where receipts go; empty for the server's own messages, which get none.
	Origin string
	// From is the shown sender and Dest the destination as sent; receipts and partial keys refer to them.
	From, Dest string
	// Payload is the frame's text, as it goes out.
	Payload []byte
	// NoReceipt suppresses the receipts of this message.
	NoReceipt bool
}

// PutStatus says what became of an item on one channel.
type PutStatus uint8

const (
	Unavailable PutStatus = iota // not known to be stored
	Stored
	Duplicate // it was stored before
	Full      // refused, the inbox is full
)

// String returns the status in lower case.
func (s PutStatus) String() string {
	switch s {
	case Stored:
		return "stored"
	case Duplicate:
		return "duplicate"
	case Full:
		return "full"
	}
	return "unavailable"
}

// PutResult says what became of an item: one status for each of its Channels, in their order.
type PutResult []PutStatus

// Kind says what an envelope holds.
type Kind uint8

const (
	// KindMessage is a message that was put.
	KindMessage Kind = iota
	// KindReceipt tells the channel of origin what became of a message of its own.
	KindReceipt
	// KindGap stands where something was lost by a stated policy: it says how much.
	KindGap
)

// Outcome says what became of a message, in its receipt.
type Outcome uint8

const (
	OutcomeDelivered Outcome = iota // 300: confirmed by a receiver
	OutcomeExpired                  // 480: it grew too old in the inbox
	OutcomeDropped                  // 481: the inbox was full
)

// Envelope is one entry of an inbox.
type Envelope struct {
	Cursor Cursor
	Kind   Kind

	Outcome Outcome // of a receipt

	// Last is true if Fetch saw that nothing follows it in the inbox, so far: its reader need not ask for more. It may
	// be false all the same.
	Last bool

	// Of messages and receipts. In a receipt From is who confirmed (or the channel that did not get it), ID and
	// Dest are those of the message that it is about.
	ID   ID
	From string
	Dest string

	Payload []byte // of a message: the frame's text

	Time int64 // of a receipt: when it happened, Unix milliseconds

	Gap Gap // of a gap
}

// Gap counts what an inbox no longer has.
type Gap struct {
	Dropped  int // messages dropped because the inbox was full
	Expired  int // messages that grew too old
	Receipts int // receipts and notices past their own bound
}

// Key says which envelope of an inbox is meant: the one at Cursor if that is not zero; else the oldest message with
// this ID (compared by text) and, where they are not empty, From and Dest.
type Key struct {
	Cursor Cursor
	ID     string
	From   string
	Dest   string
}

// Popped says what a key took.
type Popped struct {
	Found  bool
	Cursor Cursor // of what was taken
}

// Wake tells a watcher that its channel may hold something new. It may be empty; with Envelopes, the first of them
// follows directly on Prev and each on the one before it, so that a reader whose own cursor equals Prev can spare
// itself the Fetch. The list is shared by all who are woken, nobody changes it, and it is the queue's again when they have
// returned: who keeps an Envelope copies it. What it says, the Payload too, is never changed.
type Wake struct {
	Prev      Cursor
	Envelopes []Envelope
	// Cause is the context that was given to the Put, PopDelivered or Wait that this comes of, if that call itself calls
	// wake before it returns; else nil. The caller may know by it what it has to do afterwards.
	Cause context.Context
}

// A Batcher is a Queue that need not be waited for after each call. Optional: without it, who serves many connections
// waits for each, or has a goroutine for each. A queue that is wrapped needs a Batch of its own: one that is promoted from
// an embedded queue goes past what the wrapper does.
type Batcher interface {
	// Batch returns an empty batch.
	Batch() Batch
}

// A Batch is calls of Put and PopDelivered that are waited for together: they do what those of the Queue do, but what
// they return holds only once Wait has returned nil, and nobody is woken before. They may leave it to Wait to begin to
// make it safe, so that a batch is waited for without delay. It is used by one goroutine at a time, and empty again after
// Wait.
type Batch interface {
	Put(ctx context.Context, items []Item) ([]PutResult, error)
	PopDelivered(ctx context.Context, channel, by string, keys []Key) ([]Popped, error)
	// Wait returns once what the calls have done is as safe as Info().Level says. An error means that none of it is
	// known to be safe. ctx is the Cause of the wake-ups that it makes; it may end the wait, unless Wait itself is about to
	// make something safe, which takes as long as the store does.
	Wait(ctx context.Context) error
}

// A Watcher is woken when a channel may hold something new. It must not block.
type Watcher interface{ Wake(Wake) }

// An AllWatcher is a Queue that knows by itself of whatever enters any of its inboxes, so that watching a channel is
// nothing that it has to be told. Optional: without it, every channel with a socket costs a Watch.
type AllWatcher interface {
	// WatchAll calls find for each channel that may hold something new, and wakes the Watcher that find returns, if
	// any, until stop is called. What Watch says of wake holds for both.
	WatchAll(find func(channel string) Watcher) (stop func(), err error)
}

// A Taker is a Watcher that a simple queue in the same process hands messages over to, where nothing waits before them.
// Optional: without it, each of them is put, and fetched when the Watcher was woken.
type Taker interface {
	Watcher
	// Take is given what is being put, with the context of the Put. If it returns true, the message is not the queue's any
	// more; else it is kept, and the Watcher woken. It must not block, nor call the queue.
	Take(ctx context.Context, payload []byte) bool
}

// A Publisher is a Queue that also carries what is not stored to all nodes. Optional.
type Publisher interface {
	// Publish sends payload to the sockets that are connected to channel now, on all nodes. It may be lost. A session waits
	// for it, so it should not wait for a server.
	Publish(ctx context.Context, channel string, payload []byte) error
	// Subscribe hands what is published on channel to receive, which must not block, until stop is called.
	Subscribe(channel string, receive func(payload []byte)) (stop func(), err error)
}
