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
	Bytes   int64 // of a receipt or gap: about what a copy takes
}

// Needed adds to list the entries of channel whose reference is one that in says yes to.
func (b *Book[R]) Needed(list []Needed[R], channel string, in func(ref R) bool) []Needed[R] {
	x := b.find(channel)
	if x == nil {
		return list
	}
	es := x.entries()
	for i := range es {
		if e := &es[i]; in(e.ref) {
			list = append(list, Needed[R]{x.name, e.seq, e.ref, e.meta.kind(), b.noticeWeight(x, e)})
		}
	}
	return list
}

// Look returns the entry that n is about, if it is still there with that reference.
func (b *Book[R]) Look(n Needed[R]) (f Found[R], ok bool) {
	x := b.find(n.Channel)
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
	if x := b.find(n.Channel); x != nil {
		if e := x.find(n.Seq); e != nil && e.ref == n.Ref {
			b.move(e, ref, fan)
		}
	}
}

// Restated notes that the message of channel with number seq is stated anew in segment: its id is remembered from
// there, unless there is more to remember than that it is pending.
func (b *Book[R]) Restated(channel string, seq uint64, segment uint32) {
	x := b.find(channel)
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
// from on, and adding at most limit bytes. It returns where to go on, 0 at the end. Those added must be stated anew at
// once: Rehome. Of an id whose receipts are more than limit bytes the newest are stated, as many as fit.
func (b *Book[R]) Remembered(segment uint32, now int64, from uint32, steps int, limit int64, ops *Ops) (next uint32) {
	k := &b.known
	left := limit
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
		size := k.stated(s)
		if size > left && ops.Len() > 0 {
			return i
		}
		left -= size
		list := k.receipts(i)
		for ; size > limit && len(list) > 0; list = list[1:] {
			size -= toldBytes + int64(len(list[0].From))
		}
		kn := &Known{Key: s.key, Origin: b.names.text(s.origin), Accepted: s.accepted(), Told: list, slot: i}
		ops.add(Op{Kind: OpKnown, Known: kn})
	}
	return 0
}

// stated returns how many bytes it takes to state s, or a few more.
func (k *known) stated(s *slot) int64 {
	size := idBytes + int64(len(k.names.text(s.origin)))
	for t := s.told; t != 0; t = k.told.at(t).next {
		size += toldBytes + int64(len(k.names.text(k.told.at(t).from)))
	}
	return size
}

// CountRemembered counts the bytes of what Remembered would add, going on in the same way.
func (b *Book[R]) CountRemembered(segment, from uint32, steps int) (bytes int64, next uint32) {
	k := &b.known
	for i := max(from, 1); i < k.slots.next; i++ {
		if steps--; steps < 0 {
			return bytes, i
		}
		if s := k.slots.at(i); s.home == segment && s.word != 0 {
			bytes += k.stated(s)
		}
	}
	return bytes, 0
}

// Rehome notes that what Remembered added is stated in segment.
func (b *Book[R]) Rehome(ops *Ops, segment uint32) {
	for i := range ops.List {
		b.known.slots.at(ops.List[i].Known.slot).home = segment
	}
}
