package inbox

import "encoding/binary"

// shard is a part of the index of the known ids, small enough that growing it holds nobody up: open addressing over
// slot numbers. A byte of the key stands beside each number, so that a search for what is not there stays out of the
// slots: with a million ids that is one cache miss instead of several.
type shard struct {
	tags  []byte // 0: free
	table []uint32
	count int
}

func (k *known) shard(key *Key) *shard { return &k.shards[key[0]] }

func (h *shard) home(key *Key) int {
	return int(binary.LittleEndian.Uint32(key[1:])) & (len(h.table) - 1)
}

func tag(key *Key) byte { return key[5] | 1 }

func (h *shard) find(k *known, key *Key) uint32 {
	if h.count == 0 {
		return 0
	}
	want := tag(key)
	for p := h.home(key); ; p = (p + 1) & (len(h.table) - 1) {
		switch h.tags[p] {
		case 0:
			return 0
		case want:
			if i := h.table[p]; k.slots.at(i).key == *key {
				return i
			}
		}
	}
}

func (h *shard) insert(k *known, i uint32) {
	if (h.count+1)*4 > len(h.table)*3 {
		old := h.table
		n := max(8, 2*len(old))
		h.table, h.tags = make([]uint32, n), make([]byte, n)
		for _, j := range old {
			if j != 0 {
				h.place(k, j)
			}
		}
	}
	h.place(k, i)
	h.count++
}

func (h *shard) place(k *known, i uint32) {
	key := &k.slots.at(i).key
	p := h.home(key)
	for h.tags[p] != 0 {
		p = (p + 1) & (len(h.table) - 1)
	}
	h.table[p], h.tags[p] = i, tag(key)
}

// remove closes the hole that it makes, so that no search has to pass over the dead.
func (h *shard) remove(k *known, i uint32) {
	mask := len(h.table) - 1
	p := h.home(&k.slots.at(i).key)
	for h.table[p] != i {
		p = (p + 1) & mask
	}
	for q := (p + 1) & mask; h.tags[q] != 0; q = (q + 1) & mask {
		// what stands at q may move to p only if its home is not between them
		home := h.home(&k.slots.at(h.table[q]).key)
		if (q-home)&mask >= (q-p)&mask {
			h.table[p], h.tags[p] = h.table[q], h.tags[q]
			p = q
		}
	}
	h.table[p], h.tags[p] = 0, 0
	h.count--
}
