package inbox

import "slices"

// known is the table of the ids that are recognized: every message with an id that is pending, and those that were
// accepted within the window. An id whose message is pending costs 40 bytes of slot, 4 in its generation and about 10
// in the index; one that was confirmed once costs 16 more: 70 bytes, 71 measured (TestRememberedBytes), plus the
// name of who confirmed, kept once for all. Each further receipt costs 16 more.
type known struct {
	limits *Limits
	names  *names

	slots  slab[slot]
	told   slab[told]
	shards [256]shard

	gens    []*generation // oldest first; the last one is being filled
	dying   *generation   // being taken apart, a few slots an operation
	genSeq  uint16
	settled int    // slots that rest: not pending and not forgotten
	further int    // receipts of those, without the first of each
	filled  int    // further receipts since the last generation was begun
	bytes   int64  // that it takes to state all slots that rest, and all receipts
	touched uint16 // what was read only to have it in the cache

	onShrink func(window, now int64)
}

// slot is one id. It holds no pointer.
type slot struct {
	key     Key
	word    uint64 // accepted in ms << 20, aged << 19, generation
	origin  uint32 // name of the channel of origin
	pending uint32 // inboxes in which it waits
	home    uint32 // segment of the log that states it last
	told    uint32 // last receipt
}

// told is a receipt that was made for an id, as it is repeated for a resent one.
type told struct {
	from uint32
	next uint32
	word uint64 // time in ms << 8, outcome
}

// generation lists the slots that were accepted one after the other. Slots leave the table by generations.
type generation struct {
	id       uint16
	start    int64
	end      int64 // the largest accepted time in it
	lists    [][]uint32
	count    int
	released int
}

const (
	genMask     = 1<<12 - 1
	agedBit     = 1 << 19
	generations = 16 // in one window, or one cap
)

// furtherPerID is how many receipts of an id, besides its first, take as much memory as one id.
const furtherPerID = 4

// Bounds of what it takes in a store to state an id and each of its receipts, besides the names in it.
const (
	idBytes   = 32
	toldBytes = 10
)

func (s *slot) accepted() int64 { return int64(s.word >> 20) }
func (s *slot) aged() bool      { return s.word&agedBit != 0 }
func (s *slot) rests() bool     { return s.pending == 0 && !s.aged() }

// full reports whether more is remembered than the cap allows.
func (k *known) full() bool { return k.settled+k.further/furtherPerID > k.limits.Cap }

// rest counts a slot that has come to rest.
func (k *known) rest(s *slot) {
	further := max(k.count(s)-1, 0)
	k.settled++
	k.further += further
	k.filled += further
	k.bytes += idBytes + int64(len(k.names.text(s.origin)))
}

// wake takes rest back.
func (k *known) wake(s *slot) {
	k.settled--
	k.further -= max(k.count(s)-1, 0)
	k.bytes -= idBytes + int64(len(k.names.text(s.origin)))
}

// count returns how many receipts s has.
func (k *known) count(s *slot) (n int) {
	for t := s.told; t != 0; t = k.told.at(t).next {
		n++
	}
	return n
}

func newKnown(l *Limits, n *names) known { return known{limits: l, names: n} }

// lookup returns the slot of key if it is recognized at now, else 0; unknown says that there is nothing under that key,
// not even what is too old.
func (k *known) lookup(key *Key, now int64) (slot uint32, unknown bool) {
	i := k.shard(key).find(k, key)
	if i == 0 {
		return 0, true
	}
	if s := k.slots.at(i); s.pending == 0 && now-s.accepted() >= k.limits.Window {
		return 0, false
	}
	return i, false
}

// accept returns a slot for a message that was just accepted. What the table still had under that key was forgotten,
// unless keep is set: then the message is a copy of one that was accepted before. unknown says that lookup found nothing.
func (k *known) accept(key *Key, origin string, accepted int64, keep, unknown bool) uint32 {
	var i uint32
	if !unknown {
		i = k.shard(key).find(k, key)
	}
	if i != 0 && keep {
		return i
	}
	if i != 0 {
		s := k.slots.at(i)
		if s.rests() {
			k.wake(s)
		}
		k.forgetTold(s)
		k.names.drop(s.origin)
		s.origin = k.names.hold(origin)
		s.word = uint64(accepted) << 20
		k.join(i, s)
	} else {
		i = k.slots.alloc()
		s := k.slots.at(i)
		s.key = *key
		s.origin = k.names.hold(origin)
		s.word = uint64(accepted) << 20
		k.shard(key).insert(k, i)
		k.join(i, s)
	}
	if s := k.slots.at(i); s.rests() { // until an inbox holds it
		k.rest(s)
	}
	return i
}

// join puts slot i into the generation that is being filled.
func (k *known) join(i uint32, s *slot) {
	at := s.accepted()
	var g *generation
	if n := len(k.gens); n > 0 {
		g = k.gens[n-1]
		if at-g.start >= k.limits.Window/generations || g.count+k.filled/furtherPerID >= max(k.limits.Cap/generations, 1) {
			g = nil
		}
	}
	if g == nil {
		k.genSeq = (k.genSeq + 1) & genMask
		g = &generation{id: k.genSeq, start: at, end: at}
		k.gens = append(k.gens, g)
		k.filled = 0
	}
	g.end = max(g.end, at)
	if g.count&1023 == 0 {
		g.lists = append(g.lists, make([]uint32, 0, min(max(k.limits.Cap/generations, 1), 1024)))
	}
	last := len(g.lists) - 1
	g.lists[last] = append(g.lists[last], i)
	g.count++
	s.word = s.word&^genMask | uint64(g.id)
}

// hold counts an inbox in which slot i waits.
func (k *known) hold(i uint32) {
	s := k.slots.at(i)
	if s.rests() {
		k.wake(s)
	}
	s.pending++
}

// settle takes an inbox back in which slot i waited.
func (k *known) settle(i uint32) {
	s := k.slots.at(i)
	if s.pending--; s.pending > 0 {
		return
	}
	if s.aged() {
		k.release(i)
		return
	}
	k.rest(s)
}

// tell remembers a receipt of slot i.
func (k *known) tell(i uint32, t Told) {
	s := k.slots.at(i)
	if s.rests() && s.told != 0 {
		k.further++
		k.filled++
	}
	k.bytes += toldBytes + int64(len(t.From))
	n := k.told.alloc()
	*k.told.at(n) = told{from: k.names.hold(t.From), next: s.told, word: uint64(t.Time)<<8 | uint64(t.Cause)}
	s.told = n
}

// receipts returns those of slot i, in the order in which they were made.
func (k *known) receipts(i uint32) (list []Told) {
	for n := k.slots.at(i).told; n != 0; {
		t := k.told.at(n)
		list = append(list, Told{From: k.names.text(t.from), Time: int64(t.word >> 8), Cause: Cause(t.word)})
		n = t.next
	}
	slices.Reverse(list)
	return list
}

// forgetTold forgets the receipts of s, which does not rest or is counted anew.
func (k *known) forgetTold(s *slot) {
	for n := s.told; n != 0; {
		t := k.told.at(n)
		next := t.next
		k.bytes -= toldBytes + int64(len(k.names.text(t.from)))
		k.names.drop(t.from)
		k.told.release(n)
		n = next
	}
	s.told = 0
}

func (k *known) release(i uint32) {
	s := k.slots.at(i)
	k.forgetTold(s)
	k.names.drop(s.origin)
	k.shard(&s.key).remove(k, i)
	k.slots.release(i)
}

// age forgets what the window or the cap no longer covers, looking at no more than steps slots, and reports whether
// there is more to do.
func (k *known) age(now int64, steps int) bool {
	for {
		if k.dying == nil && !k.retire(now) {
			return false
		}
		g := k.dying
		k.ahead(g, steps)
		for ; g.released < g.count; g.released++ {
			if steps--; steps < 0 {
				return true
			}
			i := g.lists[g.released>>10][g.released&1023]
			s := k.slots.at(i)
			switch {
			case uint16(s.word&genMask) != g.id: // accepted anew since
			case s.pending > 0:
				s.word = s.word&^genMask | agedBit
			default:
				k.wake(s)
				k.release(i)
			}
		}
		k.dying = nil
	}
}

// ahead has the places in memory that the next steps of age need brought along together, instead of one after the other.
func (k *known) ahead(g *generation, steps int) {
	for n := g.released; n < min(g.released+steps, g.count); n++ {
		key := &k.slots.at(g.lists[n>>10][n&1023]).key
		k.touched += k.shard(key).touch(key)
	}
}

// retire picks the next generation to take apart.
func (k *known) retire(now int64) bool {
	if len(k.gens) == 0 {
		return false
	}
	g := k.gens[0]
	over := now-g.end >= k.limits.Window
	if !over && !k.full() {
		return false
	}
	k.gens[0] = nil
	k.gens = k.gens[1:]
	k.dying = g
	if !over && k.onShrink != nil {
		k.onShrink(max(now-g.end, 0), now)
	}
	return true
}
