package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// sectorBytes is what a disk writes wholly or not at all.
const sectorBytes = 512

// survival says how much of what was not synced a power cut leaves.
type survival int

const (
	surviveNone survival = iota
	surviveAll
	surviveFirst // the oldest part
	surviveAny   // any part
	survivals
)

// Crash returns the disk as it may look after a power cut now, without locks and hooks; m itself goes on unchanged.
// What was synced is there. Of what was not, anything from nothing to all is: of writes any 512-byte sectors, each in
// any of its states since the last sync; of names any that were created, renamed or removed. rng decides.
func (m *Mem) Crash(rng *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := NewMem()
	after.capacity, after.indirect = m.capacity, m.indirect
	copies := map[*inode]*inode{}
	for _, dir := range slices.Sorted(maps.Keys(m.dirs)) {
		d := newMemDir()
		d.entries = m.dirs[dir].crash(rng)
		for _, name := range sortedNames(d.entries) {
			node := d.entries[name]
			if copies[node] == nil {
				data := node.crash(rng)
				copies[node] = &inode{name: node.name, data: data, synced: slices.Clone(data)}
			}
			d.entries[name] = copies[node]
		}
		d.synced = maps.Clone(d.entries)
		after.dirs[dir] = d
	}
	return after
}

func (d *memDir) crash(rng *rand.Rand) map[string]*inode {
	entries := maps.Clone(d.synced)
	keep := choose(rng, len(d.pending))
	for i, op := range d.pending {
		if !keep(i) {
			continue
		}
		if op.from != "" && entries[op.from] == op.node {
			delete(entries, op.from)
		}
		if op.to != "" {
			entries[op.to] = op.node
		}
	}
	return entries
}

func (n *inode) crash(rng *rand.Rand) []byte {
	data := slices.Clone(n.synced)
	// A sector has as many states as it was written since the last sync: choose how many of its writes it has seen.
	states := map[int64]int{}
	for _, w := range n.pending {
		w.eachSector(func(sector int64) { states[sector]++ })
	}
	sectors := slices.Sorted(maps.Keys(states))
	keep := choose(rng, len(sectors))
	seen := map[int64]int{}
	for i, sector := range sectors {
		seen[sector] = 0
		if keep(i) {
			seen[sector] = states[sector]
			if states[sector] > 1 && rng.IntN(2) == 0 {
				seen[sector] = 1 + rng.IntN(states[sector])
			}
		}
	}
	clear(states)
	for _, w := range n.pending {
		if w.data == nil && rng.IntN(2) == 0 {
			data = resize(data, w.offset)
		}
		w.eachSector(func(sector int64) {
			if states[sector]++; states[sector] > seen[sector] {
				return
			}
			from := max(w.offset, sector*sectorBytes)
			to := min(w.offset+int64(len(w.data)), (sector+1)*sectorBytes)
			if to > int64(len(data)) {
				data = resize(data, to)
			}
			copy(data[from:to], w.data[from-w.offset:])
		})
	}
	return data
}

// eachSector calls fn for each sector that the write touches; a truncation touches none.
func (w fileWrite) eachSector(fn func(sector int64)) {
	for s := w.offset / sectorBytes; s*sectorBytes < w.offset+int64(len(w.data)); s++ {
		fn(s)
	}
}

// choose returns which of n things survive.
func choose(rng *rand.Rand, n int) func(i int) bool {
	switch survival(rng.IntN(int(survivals))) {
	case surviveNone:
		return func(int) bool { return false }
	case surviveAll:
		return func(int) bool { return true }
	case surviveFirst:
		first := rng.IntN(n + 1)
		return func(i int) bool { return i < first }
	default:
		return func(int) bool { return rng.IntN(2) == 0 }
	}
}
