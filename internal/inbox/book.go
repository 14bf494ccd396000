package inbox

import (
	"strings"

	"github.com/bachata-go/bachata"
)

// Store tells a Book about the references that it keeps.
type Store[R comparable] struct {
	// Weight returns how many bytes of the store ref keeps alive; nil: none.
	Weight func(ref R) int
	// Notice returns the reference that a receipt about the message at ref keeps; nil: the same. n is how many receipts for
	// one inbox are made now, this the first of them, or 0 for another of those.
	Notice func(ref R, n int) R
	// Say returns ID and Dest of a receipt, which keeps ref, if that can be said at once; nil: it can't.
	Say func(ref R) (id bachata.ID, dest string, ok bool)
	// Drop is called when a message or a receipt that kept ref has left; nil: nobody wants to know.
	Drop func(ref R)
	// Inside has Backend.Read called under the lock, and so before what is read can be dropped.
	Inside bool
}

// Book is the state of a store. See the package's comment for how it is changed.
type Book[R comparable] struct {
	limits Limits
	store  Store[R]
	hash   Hasher
	heard  bool // somebody watches: receipts are said

	boxes map[string]*box[R]
	near  [nearby]*box[R] // the boxes that were used last, as names.near
	names names
	known known
	seq   uint64
	over  []*box[R] // more receipts than the bound
	spare []*box[R] // empty when they were added; forgotten at the next sweep
	kept  int       // places for entries that those keep

	entries  int
	live     int64 // bytes of the store that messages keep alive
	notices  int64 // bytes that copies of receipts and gaps would take
	receipts int
	gaps     int
}

// New makes an empty Book.
func New[R comparable](l Limits, s Store[R]) *Book[R] {
	b := &Book[R]{limits: l, store: s, hash: NewHasher(), boxes: map[string]*box[R]{}, names: newNames()}
	b.known = newKnown(&b.limits, &b.names)
	return b
}

// OnShrink sets what is called, under the queue's lock, when the cap on remembered ids shortens the window, in ms.
func (b *Book[R]) OnShrink(call func(window, now int64)) { b.known.onShrink = call }

// Last returns the highest number that was given out.
func (b *Book[R]) Last() uint64 { return b.seq }

// noticeBytes is about what a copy of a receipt or a gap takes in a store, besides the names in it: an id of 36 bytes,
// numbers, and what is around a record.
const noticeBytes = 96

// Live estimates how many bytes of the store are still needed: what the messages keep, and what a copy of each
// receipt, gap and remembered id would take.
func (b *Book[R]) Live() int64 { return b.live + b.notices + b.known.bytes }

// Stats counts what a Book holds.
type Stats struct {
	Messages, Receipts, Gaps, Remembered int
}

// Stats returns the counts.
func (b *Book[R]) Stats() Stats {
	return Stats{b.entries - b.receipts - b.gaps, b.receipts, b.gaps, b.known.settled}
}

// SetBarrier notes that the last loss in the inbox of channel is safe with ticket, and so are its gaps, which stand
// before entries that are safe already.
func (b *Book[R]) SetBarrier(channel string, ticket uint64) {
	if x := b.find(channel); x != nil {
		x.barrier = ticket
	}
}

// Barrier returns the last ticket that SetBarrier noted.
func (b *Book[R]) Barrier(channel string) uint64 {
	if x := b.find(channel); x != nil {
		return x.barrier
	}
	return 0
}

// find returns the inbox of channel, nil if there is none.
func (b *Book[R]) find(channel string) *box[R] {
	near := &b.near[nearness(channel)]
	if x := *near; x != nil && x.name == channel {
		return x
	}
	x := b.boxes[channel]
	if x != nil {
		*near = x
	}
	return x
}

// box returns the inbox of channel and makes it if there is none.
func (b *Book[R]) box(channel string) *box[R] {
	x := b.find(channel)
	if x == nil {
		x = &box[R]{name: strings.Clone(channel)}
		b.boxes[x.name] = x
	}
	return x
}

func (b *Book[R]) forget(x *box[R]) {
	if near := &b.near[nearness(x.name)]; *near == x {
		*near = nil
	}
	delete(b.boxes, x.name)
}

// mostSpare is how many empty boxes wait for the next sweep, and mostKept how many places for entries they keep together:
// 6 MB, for those that are filled and emptied all the time.
const (
	mostSpare = 1 << 14
	mostKept  = 1 << 17
)

// discard forgets a box that holds nothing: at the next sweep, for what passes through an inbox that is read at once
// comes again soon, and wake-ups can then name what they follow on.
func (b *Book[R]) discard(x *box[R]) {
	if x.len() > 0 || x.over {
		return
	}
	if !x.spare {
		if b.limits.Sweep <= 0 || len(b.spare) >= mostSpare {
			b.forget(x)
			return
		}
		x.spare = true
		b.spare = append(b.spare, x)
	}
	switch more := cap(x.buf) - max(int(x.kept), fewKept); {
	case more <= 0:
	case b.kept+more > mostKept:
		x.buf = nil
	default:
		b.kept += more
		x.kept = uint16(cap(x.buf))
	}
}

// Discard forgets the boxes that were left for it.
func (b *Book[R]) Discard() {
	for _, x := range b.spare {
		x.spare, x.kept = false, 0
		if x.len() == 0 && !x.over {
			b.forget(x)
		}
	}
	b.spare, b.kept = nil, 0
}

// Shrink gives back what the inbox of channel no longer needs.
func (b *Book[R]) Shrink(channel string) {
	if x := b.find(channel); x != nil {
		x.shrink()
	}
}

func (b *Book[R]) weight(e *entry[R]) int64 {
	if b.store.Weight == nil || e.meta.kind() != bachata.KindMessage {
		return 0
	}
	return int64(b.store.Weight(e.ref) / e.meta.fan())
}

// noticeWeight returns about what a copy of a receipt or gap takes.
func (b *Book[R]) noticeWeight(x *box[R], e *entry[R]) int64 {
	switch e.meta.kind() {
	case bachata.KindReceipt: // the destination is about as long as the name of who confirmed
		return noticeBytes + int64(len(x.name)+2*len(b.names.text(e.slot)))
	case bachata.KindGap:
		return noticeBytes + int64(len(x.name))
	}
	return 0
}

func (b *Book[R]) notice(ref R, n int) R {
	if b.store.Notice == nil {
		return ref
	}
	return b.store.Notice(ref, n)
}

// entered counts e, which was placed in x and filled in.
func (b *Book[R]) entered(x *box[R], e *entry[R]) {
	b.entries++
	switch e.meta.kind() {
	case bachata.KindReceipt:
		b.receipts++
	case bachata.KindGap:
		b.gaps++
	}
	b.live += b.weight(e)
	b.notices += b.noticeWeight(x, e)
	if d := b.deadline(e); x.len() == 1 || d < x.due {
		x.due = d
	}
	x.entered(e)
	b.seq = max(b.seq, e.seq)
	if x.receipts > b.limits.Receipts && !x.over {
		x.over = true
		b.over = append(b.over, x)
	}
}

// remove takes entry i out of x and forgets what only it referred to. The box may be gone afterwards.
func (b *Book[R]) remove(x *box[R], i int) {
	e := &x.entries()[i]
	b.entries--
	b.live -= b.weight(e)
	b.notices -= b.noticeWeight(x, e)
	switch e.meta.kind() {
	case bachata.KindReceipt:
		b.receipts--
		b.names.drop(e.slot)
	case bachata.KindGap:
		b.gaps--
	default:
		if e.slot != 0 {
			b.known.settle(e.slot)
		}
	}
	if b.store.Drop != nil && e.meta.kind() != bachata.KindGap {
		b.store.Drop(e.ref)
	}
	x.remove(i)
	b.discard(x)
}
