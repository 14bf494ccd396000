package inbox

import "github.com/bachata-go/bachata"

// NewMessage makes what an inbox must know of item.
func (b *Book[R]) NewMessage(keyer Keyer, item *bachata.Item) *Message {
	m := new(Message)
	b.setMessage(m, keyer, item)
	return m
}

// Counts says what a Book keeps beside its entries, so that tests see what was forgotten to be forgotten.
type Counts struct {
	Boxes, Names, Slots, Told, Settled, Further, Entries int
	Live, Notices, Known                                 int64
}

func (b *Book[R]) Counts() Counts {
	held := func(next uint32, free int) int { return max(int(next)-1, 0) - free }
	indexed := 0
	for i := range b.known.shards {
		indexed += b.known.shards[i].count
	}
	slots := held(b.known.slots.next, len(b.known.slots.free))
	if slots != indexed {
		panic("the index and the slots differ")
	}
	return Counts{
		Boxes:   len(b.boxes),
		Names:   len(b.names.ids),
		Slots:   slots,
		Told:    held(b.known.told.next, len(b.known.told.free)),
		Settled: b.known.settled,
		Entries: b.entries,
		Further: b.known.further,
		Live:    b.live,
		Notices: b.notices,
		Known:   b.known.bytes,
	}
}

// Index is one shard of the index of known ids.
type Index struct {
	k known
	h shard
}

func (x *Index) Add(key Key) uint32 {
	i := x.k.slots.alloc()
	x.k.slots.at(i).key = key
	x.h.insert(&x.k, i)
	return i
}

func (x *Index) Find(key Key) uint32 { return x.h.find(&x.k, &key) }

func (x *Index) Remove(i uint32) {
	x.h.remove(&x.k, i)
	x.k.slots.release(i)
}

// Passed counts what was put behind a bucket that was full.
func (x *Index) Passed() (n int) {
	for i := range x.h.buckets {
		n += int(x.h.buckets[i].passed)
	}
	return n
}
