package bachata

import (
	"log/slog"
	"time"
)

// QueueOptions are the options that the queues of packages memory, disk and redis have. The zero value is useful: reliable mode, a full inbox
// refuses, and the limits named at each field. A negative limit is an error, except where it is said to mean "none".
type QueueOptions struct {
	// Simple chooses simple mode: a message is forgotten when it is handed out (PROTOCOL.md, "Simple mode").
	Simple bool
	// DropOldest makes room in a full inbox by dropping its oldest messages, and tells both sides. By default a full
	// inbox refuses the new one.
	DropOldest bool

	// InboxMessages is how many messages one inbox holds. Default 10,000.
	InboxMessages int
	// InboxBytes is how many bytes of payload one inbox holds. A message larger than that never fits. Default 64 MiB.
	InboxBytes int
	// InboxAge is how long a message waits in an inbox before it expires. Default 30 days; at least 1 ms.
	InboxAge time.Duration
	// Receipts is how many receipts one inbox holds besides its messages; past it the oldest are replaced by a gap.
	// Default 100,000.
	Receipts int
	// ReceiptAge is how long a receipt waits in an inbox. Default 30 days; at least 1 ms.
	ReceiptAge time.Duration

	// Dedupe is the window in which a resent id is recognized after it was accepted. Default 1 h; 2 min to 7 days.
	// What is still pending is recognized whatever its age.
	Dedupe time.Duration
	// DedupeCap is how many ids of messages that are no longer pending are remembered at most. When it is reached the
	// oldest go early, Info().Dedupe says how much of the window is left, and Logger and Counters are told. Default 4,000,000; one
	// costs about 70 bytes of memory, with the receipt that was made for it. A message to a group has several: each
	// further one costs 16 bytes, and four of them count as one id. The names in them are kept once for all.
	DedupeCap int

	// SweepEvery is how often all inboxes are looked through for what has expired; besides, an inbox is looked through
	// when it is used. Default 1 min; negative: never.
	SweepEvery time.Duration
	// Now is the clock. Default time.Now. It may be called concurrently, also while the queue holds a
	// lock: it must not call back into it.
	Now func() time.Time
	// Counters receives CountDedupeShortened. Default: not counted.
	Counters Counters
	// Logger is told of what nobody else is told of: a shrunken dedupe window, a store that stopped. Default: silent.
	Logger *slog.Logger
}
