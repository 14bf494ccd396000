package inbox

import (
	"slices"

	"github.com/bachata-go/bachata"
)

const (
	// indexAbove is how many entries an inbox has before a search by id makes an index of its messages. A smaller one is
	// looked through, in less than a microsecond.
	indexAbove = 256
	// indexBelow is how many it has when the index goes again.
	indexBelow = indexAbove / 4
)

// ids finds the messages of one inbox by the hashes of their ids: about 40 bytes a message, in inboxes that are large
// and are searched. Without it whoever confirms what is not there has the whole inbox looked through each time.
type ids struct {
	first map[uint64]uint64   // the lowest number of a message with this hash
	more  map[uint64][]uint64 // the others, ascending; the same id from another sender is rare
}

func (n *ids) add(hash, seq uint64) {
	low, ok := n.first[hash]
	if !ok {
		n.first[hash] = seq
		return
	}
	if seq < low {
		n.first[hash], seq = seq, low
	}
	at, _ := slices.BinarySearch(n.more[hash], seq)
	n.more[hash] = slices.Insert(n.more[hash], at, seq)
}

func (n *ids) remove(hash, seq uint64) {
	rest := n.more[hash]
	switch {
	case n.first[hash] != seq:
		if at, ok := slices.BinarySearch(rest, seq); ok {
			rest = slices.Delete(rest, at, at+1)
		}
	case len(rest) > 0:
		n.first[hash], rest = rest[0], rest[1:]
	default:
		delete(n.first, hash)
	}
	if len(rest) > 0 {
		n.more[hash] = rest
		return
	}
	delete(n.more, hash)
}

// after returns the lowest number above seq with this hash, 0 if there is none.
func (n *ids) after(hash, seq uint64) uint64 {
	if low := n.first[hash]; low > seq {
		return low
	}
	rest := n.more[hash]
	if at, _ := slices.BinarySearch(rest, seq+1); at < len(rest) {
		return rest[at]
	}
	return 0
}

// next returns the number of the first message above seq whose id has this hash, 0 if there is none.
func (x *box[R]) next(hash, seq uint64) uint64 {
	if hash == 0 || x.messages == 0 {
		return 0
	}
	if x.ids == nil && x.len() > indexAbove {
		x.makeIndex()
	}
	if x.ids != nil {
		return x.ids.after(hash, seq)
	}
	es := x.entries()
	for i := x.after(seq); i < len(es); i++ {
		if e := &es[i]; e.hash() == hash {
			return e.seq
		}
	}
	return 0
}

// makeIndex makes the index of x.
func (x *box[R]) makeIndex() {
	x.ids = &ids{first: make(map[uint64]uint64, x.messages), more: map[uint64][]uint64{}}
	es := x.entries()
	for i, left := 0, x.messages; left > 0; i++ {
		e := &es[i]
		if e.meta.kind() != bachata.KindMessage {
			continue
		}
		left--
		if e.id != 0 {
			x.ids.add(e.id, e.seq)
		}
	}
}

// hash returns the hash of the id of a message, 0 for anything else.
func (e *entry[R]) hash() uint64 {
	if e.meta.kind() != bachata.KindMessage {
		return 0
	}
	return e.id
}
