package inbox

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// shard is a part of the index of the known ids, small enough that growing it holds nobody up: buckets of slot numbers. An
// id is in the bucket that its key names, or in the next that has room. A bucket is one line of the cache, and a byte of the
// key stands there beside each number, so that what is not there is found out with one cache miss, and put there
// without another.
type shard struct {
	buckets []bucket // a power of two, or none
	count   int
}

const bucketSize = 12

// bucket has 64 bytes, and begins where a line of the cache does, as its shard's buckets are together a power of two.
type bucket struct {
	tags   [bucketSize]byte
	used   uint16 // a bit for each place
	passed uint16 // ids that are behind it because it was full
	slots  [bucketSize]uint32
}

const allUsed = 1<<bucketSize - 1

func (k *known) shard(key *Key) *shard { return &k.shards[key[0]] }

func (h *shard) home(key *Key) int {
	return int(binary.LittleEndian.Uint32(key[1:])) & (len(h.buckets) - 1)
}

func tag(key *Key) byte { return key[5] }

// touch has the line of key brought into the cache, without waiting for it, if what it returns is used later.
func (h *shard) touch(key *Key) uint16 {
	if len(h.buckets) == 0 {
		return 0
	}
	return h.buckets[h.home(key)].used
}

// candidates returns a bit for each place that is used and may have this tag: all that have, and now and then another.
func (u *bucket) candidates(tag byte) uint {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	const gather = 0x0102040810204080 // the lowest bits of all bytes into the top byte
	low := binary.LittleEndian.Uint64(u.tags[:8]) ^ uint64(tag)*ones
	top := uint64(binary.LittleEndian.Uint32(u.tags[8:])) ^ uint64(tag)*(ones&math.MaxUint32)
	low, top = (low-ones)&^low&high>>7, (top-ones)&^top&high>>7 // a bit for each byte that is zero
	return (uint(low*gather>>56) | uint(top*gather>>56)<<8) & uint(u.used)
}

func (h *shard) find(k *known, key *Key) uint32 {
	if h.count == 0 {
		return 0
	}
	p := h.home(key)
	for range h.buckets { // for all of them can have been full, at one time or another, and be passed still
		u := &h.buckets[p]
		for c := u.candidates(tag(key)); c != 0; c &= c - 1 {
			if i := u.slots[bits.TrailingZeros(c)]; k.slots.at(i).key == *key {
				return i
			}
		}
		if u.passed == 0 {
			return 0
		}
		p = (p + 1) & (len(h.buckets) - 1)
	}
	return 0
}

func (h *shard) insert(k *known, i uint32) {
	if (h.count+1)*4 > len(h.buckets)*bucketSize*3 {
		old := h.buckets
		h.buckets = make([]bucket, max(1, 2*len(old)))
		for b := range old {
			for used := uint(old[b].used); used != 0; used &= used - 1 { // all of them together, not one after the other
				k.touched += uint16(k.slots.at(old[b].slots[bits.TrailingZeros(used)]).key[1])
			}
			for used := uint(old[b].used); used != 0; used &= used - 1 {
				h.place(k, old[b].slots[bits.TrailingZeros(used)])
			}
		}
	}
	h.place(k, i)
	h.count++
}

func (h *shard) place(k *known, i uint32) {
	key := &k.slots.at(i).key
	p := h.home(key)
	for h.buckets[p].used == allUsed {
		if u := &h.buckets[p]; u.passed < math.MaxUint16 {
			u.passed++
		}
		p = (p + 1) & (len(h.buckets) - 1)
	}
	u := &h.buckets[p]
	free := bits.TrailingZeros16(^u.used)
	u.tags[free], u.slots[free] = tag(key), i
	u.used |= 1 << free
}

func (h *shard) remove(k *known, i uint32) {
	key := &k.slots.at(i).key
	for p := h.home(key); ; p = (p + 1) & (len(h.buckets) - 1) {
		u := &h.buckets[p]
		for c := u.candidates(tag(key)); c != 0; c &= c - 1 {
			if at := bits.TrailingZeros(c); u.slots[at] == i {
				u.used &^= 1 << at
				h.count--
				return
			}
		}
		if u.passed < math.MaxUint16 { // one that was too many to count stays passed
			u.passed--
		}
	}
}
