package inbox

import "github.com/bachata-go/bachata"

// A log is reclaimed from its oldest segment. What the Book needs of that segment is written to the end of the log
// first. The calls here find it and note where it went.

// Needed is an entry that a segment is needed for.
type Needed[R comparable] struct {
	Channel string
	Seq     uint64
	Ref     R
	Kind    bachata.Kind
}

// Needed adds to list the entries of channel whose reference is one that in says yes to.
func (b *Book[R]) Needed(list []Needed[R], channel string, in func(ref R) bool) []Needed[R] {
	x := b.boxes[channel]
	if x == nil {
		return list
	}
	es := x.entries()
	for i := range es {
		if e := &es[i]; in(e.ref) {
			list = append(list, Needed[R]{x.name, e.seq, e.ref, e.meta.kind()})
		}
	}
	return list
}

// Look returns the entry that n is about, if it is still there with that reference.
func (b *Book[R]) Look(n Needed[R]) (f Found[R], ok bool) {
	x := b.boxes[n.Channel]
	if x == nil {
		return f, false
	}
	e := x.find(n.Seq)
	if e == nil || e.ref != n.Ref {
		return f, false
	}
	return b.found(x, e), true
}

// Move gives the entry that n is about the reference of its copy, which fan entries share, unless it has changed.
func (b *Book[R]) Move(n Needed[R], ref R, fan int) {
	if x := b.boxes[n.Channel]; x != nil {
		if e := x.find(n.Seq); e != nil && e.ref == n.Ref {
			b.move(e, ref, fan)
		}
	}
}

// Restated notes that the message of channel with number seq is stated anew in segment: its id is remembered from
// there, unless there is more to remember than that it is pending.
func (b *Book[R]) Restated(channel string, seq uint64, segment uint32) {
	x := b.boxes[channel]
	if x == nil {
		return
	}
	if e := x.find(seq); e != nil && e.meta.kind() == bachata.KindMessage && e.slot != 0 {
		if s := b.known.slots.at(e.slot); s.told == 0 {
			s.home = segment
		}
	}
}

// Remembered adds to ops what is remembered of ids that segment states last, looking at most at steps ids from number
// from on. It returns where to go on, 0 at the end. Those added must be stated anew at once: Rehome.
func (b *Book[R]) Remembered(segment uint32, now int64, from uint32, steps int, ops *Ops) (next uint32) {
	k := &b.known
	for i := max(from, 1); i < k.slots.next; i++ {
		if steps--; steps < 0 {
			return i
		}
		s := k.slots.at(i)
		if s.home != segment || s.word == 0 {
			continue
		}
		if s.pending == 0 && now-s.accepted() >= b.limits.Window {
			continue
		}
		kn := &Known{Key: s.key, Origin: b.names.text(s.origin), Accepted: s.accepted(), Told: k.receipts(i), slot: i}
		ops.add(Op{Kind: OpKnown, Known: kn})
	}
	return 0
}

// CountRemembered counts what Remembered would add, going on in the same way.
func (b *Book[R]) CountRemembered(segment, from uint32, steps int) (count int, next uint32) {
	k := &b.known
	for i := max(from, 1); i < k.slots.next; i++ {
		if steps--; steps < 0 {
			return count, i
		}
		if s := k.slots.at(i); s.home == segment && s.word != 0 {
			count++
		}
	}
	return count, 0
}

// Rehome notes that what Remembered added is stated in segment.
func (b *Book[R]) Rehome(ops *Ops, segment uint32) {
	for i := range ops.List {
		b.known.slots.at(ops.List[i].Known.slot).home = segment
	}
}
