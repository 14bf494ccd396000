package inbox

import "slices"

// known is the table of the ids that are recognized: every message with an id that is pending, and those that were
// accepted within the window. An id whose message is pending costs 40 bytes of slot, 4 in its generation and about 9
// in the index; one that was confirmed once costs 16 more: 69 bytes, 71 measured (TestRememberedBytes), plus the
// name of who confirmed, kept once for all.
type known struct {
	limits *Limits
	names  *names

	slots  slab[slot]
	told   slab[told]
	shards [256]shard

	gens    []*generation // oldest first; the last one is being filled
	dying   *generation   // being taken apart, a few slots an operation
	genSeq  uint16
	settled int // slots that are not pending and not forgotten

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

func (s *slot) accepted() int64 { return int64(s.word >> 20) }
func (s *slot) aged() bool      { return s.word&agedBit != 0 }

func newKnown(l *Limits, n *names) known { return known{limits: l, names: n} }

// lookup returns the slot of key if it is recognized at now, else 0.
func (k *known) lookup(key *Key, now int64) uint32 {
	i := k.shard(key).find(k, key)
	if i == 0 {
		return 0
	}
	if s := k.slots.at(i); s.pending == 0 && now-s.accepted() >= k.limits.Window {
		return 0
	}
	return i
}

// accept returns a slot for a message that was just accepted. What the table still had under that key was forgotten,
// unless keep is set: then the message is a copy of one that was accepted before.
func (k *known) accept(key *Key, origin string, accepted int64, keep bool) uint32 {
	i := k.shard(key).find(k, key)
	if i != 0 && keep {
		return i
	}
	if i != 0 {
		s := k.slots.at(i)
		k.forgetTold(s)
		if s.pending == 0 && !s.aged() {
			k.settled--
		}
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
	if s := k.slots.at(i); s.pending == 0 {
		k.settled++ // until an inbox holds it
	}
	return i
}

// join puts slot i into the generation that is being filled.
func (k *known) join(i uint32, s *slot) {
	at := s.accepted()
	var g *generation
	if n := len(k.gens); n > 0 {
		g = k.gens[n-1]
		if at-g.start >= k.limits.Window/generations || g.count >= max(k.limits.Cap/generations, 1) {
			g = nil
		}
	}
	if g == nil {
		k.genSeq = (k.genSeq + 1) & genMask
		g = &generation{id: k.genSeq, start: at, end: at}
		k.gens = append(k.gens, g)
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
	if s.pending == 0 && !s.aged() {
		k.settled--
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
	k.settled++
}

// tell remembers a receipt of slot i.
func (k *known) tell(i uint32, t Told) {
	s := k.slots.at(i)
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

func (k *known) forgetTold(s *slot) {
	for n := s.told; n != 0; {
		t := k.told.at(n)
		next := t.next
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
				k.settled--
				k.release(i)
			}
		}
		k.dying = nil
	}
}

// retire picks the next generation to take apart.
func (k *known) retire(now int64) bool {
	if len(k.gens) == 0 {
		return false
	}
	g := k.gens[0]
	over := now-g.end >= k.limits.Window
	if !over && k.settled <= k.limits.Cap {
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
