package inbox

import (
	"math"

	"github.com/bachata-go/bachata"
)

// loss says what a policy does with an entry.
type loss uint8

const (
	keep loss = iota
	drop
	expire
	trim // a receipt or notice past its bound
)

// maxSeenGaps is how many gaps an inbox keeps apart because a reader was told of some of them. Past it they merge
// all the same: a loss that is told twice is better than an inbox that grows without a bound.
const maxSeenGaps = 64

// lose decides the loss of entries of x, oldest first. judge is asked for each entry and says whether it must be asked
// for the next. What is lost leaves a gap in its place; a gap that nobody was told of merges with the next one
// if nothing is left between them.
func (b *Book[R]) lose(x *box[R], now int64, ops *Ops, judge func(e *entry[R]) (loss, bool)) {
	var (
		gap     bachata.Gap // being collected
		at      uint64      // its place; 0: none
		before  uint64      // a gap that directly precedes and may still take more
		asking  = true
		mergers = x.gaps >= maxSeenGaps
	)
	flush := func() {
		if at != 0 && !b.limits.Simple { // in simple mode nobody is told
			ops.add(Op{Kind: OpGap, Channel: x.name, Seq: at, Gap: gap, Time: now})
		}
		gap, at = bachata.Gap{}, 0
	}
	es := x.entries()
	for i := range es {
		e := &es[i]
		verdict := keep
		if asking {
			verdict, asking = judge(e)
		} else if at == 0 {
			return
		}
		isGap := e.meta.kind() == bachata.KindGap
		open := isGap && (mergers || !e.meta.has(flagSeen))
		switch {
		case verdict != keep:
			if at == 0 && before != 0 {
				gap = x.gap(before)
				ops.add(Op{Kind: OpRemove, Channel: x.name, Seq: before, Cause: Taken, Time: now})
			}
			b.loseEntry(x, e, verdict, now, ops)
			addLoss(&gap, verdict)
			at = e.seq + 1
			before = 0
		case open && at != 0:
			g := x.gap(e.seq)
			gap = bachata.Gap{
				Dropped:  saturated(gap.Dropped, g.Dropped),
				Expired:  saturated(gap.Expired, g.Expired),
				Receipts: saturated(gap.Receipts, g.Receipts),
			}
			at = e.seq
			if asking { // more may follow directly: the gap moves on
				before = 0
				ops.add(Op{Kind: OpRemove, Channel: x.name, Seq: e.seq, Cause: Taken, Time: now})
				continue
			}
			flush()
			return
		default:
			flush()
			before = 0
			if open {
				before = e.seq
			}
		}
	}
	flush()
}

func addLoss(g *bachata.Gap, l loss) {
	switch l {
	case drop:
		g.Dropped = saturated(g.Dropped, 1)
	case expire:
		g.Expired = saturated(g.Expired, 1)
	case trim:
		g.Receipts = saturated(g.Receipts, 1)
	}
}

// saturated adds counts of gaps. The disk format has none above this bound, and refuses such a store.
func saturated(a, b int) int { return int(min(int64(a)+int64(b), math.MaxInt32)) }

// loseEntry decides that e leaves, and what its origin is told.
func (b *Book[R]) loseEntry(x *box[R], e *entry[R], l loss, now int64, ops *Ops) {
	op := Op{Kind: OpRemove, Channel: x.name, Seq: e.seq, Cause: Taken, Time: now}
	if e.meta.kind() == bachata.KindMessage {
		op.Cause = Expired
		if l == drop {
			op.Cause = Dropped
		}
		op.By = x.name
		if b.tells(e) {
			op.Receipt, op.Origin = ops.number(b.seq), b.origin(e)
		}
	}
	ops.add(op)
}

// tells reports whether the origin of e is told what became of it.
func (b *Book[R]) tells(e *entry[R]) bool {
	return e.slot != 0 && !e.meta.has(flagNoReceipt) && b.known.slots.at(e.slot).origin != 0
}

func (b *Book[R]) origin(e *entry[R]) string {
	return b.names.text(b.known.slots.at(e.slot).origin)
}

// Due reports whether something in the inbox of channel may have expired.
func (b *Book[R]) Due(channel string, now int64) bool {
	x := b.find(channel)
	return x != nil && x.len() > 0 && now >= x.due
}

// maxLost is how many entries one decision lets expire, so that a commit stays small.
const maxLost = 256

// DecideExpire decides what has expired in the inbox of channel. Entries are looked at until a message and a receipt
// are found that have not, unless all is set: after a clock was set back, what follows may be older. It reports
// whether it must be called again, when the changes are applied.
func (b *Book[R]) DecideExpire(channel string, now int64, all bool, ops *Ops) (more bool) {
	x := b.find(channel)
	if x == nil {
		return false
	}
	const none = int64(1) << 62
	due, lost := none, 0
	messages, receipts := x.messages == 0, x.receipts == 0 // nothing more to find
	b.lose(x, now, ops, func(e *entry[R]) (loss, bool) {
		verdict := keep
		d := b.deadline(e)
		switch e.meta.kind() {
		case bachata.KindMessage:
			if d <= now {
				verdict = expire
				break
			}
			messages, due = true, min(due, d)
		case bachata.KindReceipt:
			if d <= now {
				verdict = trim
				break
			}
			receipts, due = true, min(due, d)
		}
		if verdict != keep {
			if lost++; lost == maxLost {
				more = true
				return verdict, false
			}
		}
		return verdict, all || !messages || !receipts
	})
	if more {
		due = 0
	}
	x.due = due
	return more
}

// Undue takes back what DecideExpire noted: its changes were not carried out.
func (b *Book[R]) Undue(channel string) {
	if x := b.find(channel); x != nil {
		x.due = 0
	}
}

// Over reports whether an inbox holds more receipts than the bound: DecideTrim is needed.
func (b *Book[R]) Over() bool { return len(b.over) > 0 }

// DecideTrim decides for one inbox that is over the bound which receipts leave. It returns the inbox's channel.
func (b *Book[R]) DecideTrim(now int64, ops *Ops) string {
	x := b.over[len(b.over)-1]
	b.over = b.over[:len(b.over)-1]
	x.over = false
	excess := x.receipts - b.limits.Receipts
	if excess <= 0 {
		b.discard(x)
		return x.name
	}
	b.lose(x, now, ops, func(e *entry[R]) (loss, bool) {
		if e.meta.kind() != bachata.KindReceipt {
			return keep, true
		}
		excess--
		return trim, excess > 0
	})
	return x.name
}

// Channels returns the channels of all inboxes, for a sweep that looks at one after the other.
func (b *Book[R]) Channels() []string {
	list := make([]string, 0, len(b.boxes))
	for channel := range b.boxes {
		list = append(list, channel)
	}
	return list
}
