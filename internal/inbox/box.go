package inbox

import (
	"math"

	"github.com/bachata-go/bachata"
)

// entry is one place in an inbox: 48 bytes with the 12-byte reference of the disk queue, which holds no pointer.
type entry[R comparable] struct {
	seq    uint64
	meta   meta
	id     uint64 // of a message: the hash of its id; of a receipt: when it came here, ms
	ref    R
	size   uint32 // of a message: bytes of its payload
	slot   uint32 // of a message: its id in known; of a receipt: the name of who confirmed
	narrow uint32 // of a message: short hashes of from and dest
}

// meta is, from the top: 44 bits of time in ms, 2 of kind, 2 of cause, 3 flags, 13 of fan-out.
type meta uint64

const (
	metaTime  = 20
	metaKind  = 18
	metaCause = 16

	flagNoReceipt = 1 << 15 // of a message
	flagSeen      = 1 << 14 // of a gap: a reader was told
	flagMarked    = 1 << 13 // a decision under way takes it

	fanMask = flagMarked - 1
)

func newMeta(kind bachata.Kind, cause Cause, at int64) meta {
	return meta(at)<<metaTime | meta(kind)<<metaKind | meta(cause)<<metaCause
}

func (m meta) time() int64        { return int64(m >> metaTime) }
func (m meta) kind() bachata.Kind { return bachata.Kind(m >> metaKind & 3) }
func (m meta) cause() Cause       { return Cause(m >> metaCause & 3) }
func (m meta) has(flag meta) bool { return m&flag != 0 }
func (m meta) fan() int           { return max(int(m&fanMask), 1) }
func (m meta) withFan(n int) meta { return m | meta(min(n, fanMask)) }

// box is one inbox: entries by ascending number.
type box[R comparable] struct {
	name string
	buf  []entry[R] // buf[head:] are the entries
	head int
	last uint64 // the highest number that was ever in it, while the box lives

	messages, receipts, gaps int
	bytes                    int64

	due     int64  // nothing expires before; 0: nothing is known
	barrier uint64 // ticket of the last change to what readers may have passed
	over    bool   // queued in Book.over
	spare   bool   // queued in Book.spare
	kept    uint16 // counted in Book.kept; manyKept at most
	hint    uint32 // where a search will look first

	counts map[uint64]bachata.Gap
	ids    *ids // nil: not needed so far
}

func (x *box[R]) entries() []entry[R] { return x.buf[x.head:] }
func (x *box[R]) len() int            { return len(x.buf) - x.head }

// after returns the index of the first entry whose number is larger than seq.
func (x *box[R]) after(seq uint64) int {
	es := x.entries()
	switch n := len(es); { // the ends are where nearly all happens
	case n == 0 || es[n-1].seq <= seq:
		return n
	case es[0].seq > seq:
		return 0
	}
	low, high := 0, len(es)-1 // es[low].seq <= seq < es[high].seq
	for high-low > 1 {
		if middle := int(uint(low+high) / 2); es[middle].seq <= seq {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// find returns the entry with number seq, or nil.
func (x *box[R]) find(seq uint64) *entry[R] {
	if i := x.index(seq); i >= 0 {
		return &x.buf[x.head+i]
	}
	return nil
}

// index returns the index of the entry with number seq, or -1.
func (x *box[R]) index(seq uint64) int {
	es := x.entries()
	if seq == 0 || seq > x.last || len(es) == 0 {
		return -1
	}
	i := 0
	if es[0].seq != seq { // most are searched one after the other
		if i = int(x.hint); i >= len(es) || es[i].seq != seq {
			i = x.after(seq - 1)
		}
	}
	if i >= len(es) || es[i].seq != seq {
		return -1
	}
	x.hint = uint32(i + 1)
	return i
}

// place makes an entry with number seq at its place, which is nearly always the end. The rest of it is to be filled in, and
// then entered.
func (x *box[R]) place(seq uint64) *entry[R] {
	i := x.len()
	if seq <= x.last {
		i = x.after(seq)
	}
	x.last = max(x.last, seq)
	if i == 0 && x.head > 0 {
		x.head--
	} else {
		x.grow()
		x.buf = x.buf[:len(x.buf)+1]
		es := x.entries()
		copy(es[i+1:], es[i:])
	}
	e := &x.buf[x.head+i]
	*e = entry[R]{seq: seq}
	return e
}

// entered counts e.
func (x *box[R]) entered(e *entry[R]) {
	switch e.meta.kind() {
	case bachata.KindMessage:
		x.messages++
		x.bytes += int64(e.size)
	case bachata.KindReceipt:
		x.receipts++
	default:
		x.gaps++
	}
	if x.ids != nil {
		if hash := e.hash(); hash != 0 {
			x.ids.add(hash, e.seq)
		}
	}
}

// grow makes room for one more. Growth by a fourth keeps what a million inboxes waste small.
func (x *box[R]) grow() {
	if len(x.buf) < cap(x.buf) {
		return
	}
	n := x.len()
	if x.head > 4 && x.head >= n/4 {
		copy(x.buf, x.entries())
		clear(x.buf[n:])
		x.buf, x.head = x.buf[:n], 0
		return
	}
	if n < 256 {
		x.resize(max(4, 2*n))
		return
	}
	x.resize(n + n/4 + 1)
}

// Of what an inbox no longer needs, it keeps at all times places for a few entries, and up to the next sweep those
// for many.
const (
	fewKept  = 32
	manyKept = 2048
)

// shrink gives back what x does not need now.
func (x *box[R]) shrink() {
	switch n := x.len(); {
	case n == 0 && cap(x.buf) > fewKept:
		x.buf, x.head = nil, 0
	case cap(x.buf) > 256 && n < cap(x.buf)/4:
		x.resize(n + n/4)
	}
}

func (x *box[R]) resize(room int) {
	buf := make([]entry[R], x.len(), room)
	copy(buf, x.entries())
	x.buf, x.head = buf, 0
}

// remove takes entry i out, moving the shorter side.
func (x *box[R]) remove(i int) {
	es := x.entries()
	e := &es[i]
	switch e.meta.kind() {
	case bachata.KindMessage:
		x.messages--
		x.bytes -= int64(e.size)
	case bachata.KindReceipt:
		x.receipts--
	default:
		x.gaps--
		delete(x.counts, e.seq)
	}
	if x.ids != nil {
		if hash := e.hash(); hash != 0 {
			x.ids.remove(hash, e.seq)
		}
	}
	if i < len(es)/2 {
		copy(es[1:i+1], es[:i])
		es[0] = entry[R]{}
		x.head++
	} else {
		copy(es[i:], es[i+1:])
		es[len(es)-1] = entry[R]{}
		x.buf = x.buf[:len(x.buf)-1]
	}
	if x.len() < indexBelow {
		x.ids = nil
	}
	if x.len() == 0 {
		x.buf, x.head = x.buf[:0], 0
	}
	if cap(x.buf) > manyKept {
		x.shrink()
	}
}

// gap returns what the gap at seq counts.
func (x *box[R]) gap(seq uint64) bachata.Gap { return x.counts[seq] }

func (x *box[R]) setGap(seq uint64, g bachata.Gap) {
	if x.counts == nil {
		x.counts = map[uint64]bachata.Gap{}
	}
	x.counts[seq] = g
}

// deadline returns when e expires: a gap never does.
func (b *Book[R]) deadline(e *entry[R]) int64 {
	switch e.meta.kind() {
	case bachata.KindMessage:
		return e.meta.time() + b.limits.Age
	case bachata.KindReceipt:
		return int64(e.id) + b.limits.ReceiptAge
	}
	return math.MaxInt64
}
