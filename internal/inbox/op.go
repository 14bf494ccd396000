package inbox

import "github.com/bachata-go/bachata"

// OpKind says what an Op does. The numbers are part of the disk format.
type OpKind uint8

const (
	OpPut     OpKind = 1 // a message enters the inboxes of its targets
	OpRemove  OpKind = 2 // one entry leaves an inbox
	OpGap     OpKind = 3 // a gap stands at a place in an inbox, with these counts
	OpReceipt OpKind = 4 // a receipt that carries all that it says
	OpKnown   OpKind = 5 // what is remembered of one id
)

// Cause says why an entry leaves. The numbers are part of the disk format; the first three are those of
// bachata.Outcome.
type Cause uint8

const (
	Delivered Cause = iota // a message was confirmed
	Expired                // a message grew too old
	Dropped                // a message made room
	Taken                  // nobody is told: a receipt, a gap, a message of simple mode
)

// Op is one change. Which fields count depends on Kind. Strings may be borrowed for the time of the call: the Book
// copies what it keeps.
type Op struct {
	Kind    OpKind
	Channel string // OpRemove, OpGap, OpReceipt: the inbox
	Seq     uint64 // of the entry

	Cause   Cause    // OpRemove; OpReceipt: what it tells
	By      string   // OpRemove, OpReceipt: who confirmed, or the channel that did not get it
	Time    int64    // OpRemove, OpReceipt: when, ms
	Entered int64    // OpReceipt: when it entered the inbox, ms
	Receipt uint64   // OpRemove: the number of the receipt that goes to the origin; 0: none
	More    []uint64 // OpRemove, Taken: more entries of the inbox that leave with it; a record has a removal for each
	Origin  string   // OpRemove: where the receipt goes; for waking, not stored

	ID   bachata.ID // OpReceipt; OpRemove: set by Apply, if said
	Dest string     // OpReceipt; OpRemove: set by Apply, if said

	Gap bachata.Gap // OpGap: all that it counts now

	Put   *Message // OpPut
	Known *Known   // OpKnown

	prev uint64 // OpRemove: set by Apply, the last number in the inbox of Origin before the receipt
	said bool   // OpRemove: set by Apply, the store could say at once what the receipt says
}

// Message is what an inbox must know of a message that is put.
type Message struct {
	ID                 bachata.ID
	Origin, From, Dest string
	NoReceipt          bool
	Copy               bool // restates a message that was put before, with its numbers
	Time               int64
	Payload            []byte // for the queue alone
	Size               int    // of Payload

	Key     Key
	Targets []Target

	one     [1]Target
	unknown bool // DecidePut found no trace of Key; until the lock is let go
}

// Target is one inbox of a message.
type Target struct {
	Channel string
	Seq     uint64
	Full    bool   // it did not get in: Seq is the number of the receipt that says so
	Prev    uint64 // set by Apply: the last number in the inbox before it
}

// Known is what is remembered of one id, all of it.
type Known struct {
	Key      Key
	Origin   string
	Accepted int64
	Told     []Told

	slot uint32
}

// Told is a receipt that was made for an id.
type Told struct {
	From  string
	Time  int64
	Cause Cause
}

// Ops is a list of changes that belong together. The zero value is ready; Reset lets it be used again.
type Ops struct {
	List []Op
	next uint64
	seqs []uint64 // room for Op.More
	from int      // where in it that of the last change begins
}

// Reset empties the list.
func (o *Ops) Reset() {
	clear(o.List)
	o.List = o.List[:0]
	o.next, o.seqs = 0, o.seqs[:0]
}

// Len returns how many changes there are.
func (o *Ops) Len() int { return len(o.List) }

func (o *Ops) add(op Op) { o.List = append(o.List, op) }

// taken adds that an entry leaves of which nobody is told: to the last change, if that says so of another one of the same
// inbox. Receipts leave by the hundred.
func (o *Ops) taken(channel, by string, seq uint64, now int64) {
	if n := len(o.List); n > 0 {
		last := &o.List[n-1]
		if last.Kind == OpRemove && last.Cause == Taken && last.Channel == channel && last.By == by && last.Time == now {
			if last.More == nil {
				o.from = len(o.seqs)
			}
			o.seqs = append(o.seqs, seq)
			last.More = o.seqs[o.from:]
			return
		}
	}
	op := o.more()
	op.Kind, op.Channel, op.Seq, op.Cause, op.By, op.Time = OpRemove, channel, seq, Taken, by, now
}

// more adds an empty change, to be filled in before the next is added. An Op is large: it is not copied for each message.
func (o *Ops) more() *Op {
	n := len(o.List)
	if n == cap(o.List) {
		o.List = append(o.List, Op{})
	}
	o.List = o.List[:n+1] // Reset has emptied what is there
	return &o.List[n]
}

// number gives out the next sequence number of the store. Messages and receipts have even numbers. The odd one after
// each is for the gap that may stand in its place: whoever still holds the cursor of what was lost can't take the
// gap by it.
func (o *Ops) number(last uint64) uint64 {
	o.next = (max(o.next, last) | 1) + 1
	return o.next
}
