package inbox

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
)

// Salt is the secret of a store that goes into its keys, so that nobody outside can make two messages collide.
type Salt [16]byte

// Key names a message among all that a store remembers: 128 bits of a keyed hash (with a Salt, SHA-256 over it) over
// origin, dest and the text of the id, each with its length before it.
type Key [16]byte

// A Keyer makes keys. It may be used concurrently.
type Keyer interface {
	// KeyOf returns the key of the message that origin sent to dest as id.
	KeyOf(origin, dest, id string) Key
}

// KeyOf returns the same key in every process.
func (salt Salt) KeyOf(origin, dest, id string) Key {
	var room [256]byte
	sum := sha256.Sum256(appendNames(append(room[:0], salt[:]...), origin, dest, id))
	return Key(sum[:16])
}

func appendNames(b []byte, names ...string) []byte {
	for _, s := range names {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// Seeds make keys for one process only, in a third of the time.
type Seeds [2]maphash.Seed

// NewSeeds makes Seeds.
func NewSeeds() Seeds { return Seeds{maphash.MakeSeed(), maphash.MakeSeed()} }

// KeyOf is Keyer's.
func (s Seeds) KeyOf(origin, dest, id string) (k Key) {
	var room [256]byte
	b := appendNames(room[:0], origin, dest, id)
	binary.NativeEndian.PutUint64(k[:8], maphash.Bytes(s[0], b))
	binary.NativeEndian.PutUint64(k[8:], maphash.Bytes(s[1], b))
	return k
}

// Hasher makes the hashes by which entries are found when a confirmation names an id and not a cursor. They are
// salted for one process and never stored.
type Hasher struct{ seed maphash.Seed }

// NewHasher makes a Hasher.
func NewHasher() Hasher { return Hasher{maphash.MakeSeed()} }

// ID returns the hash of an id's text, 0 for the empty one. 64 bits decide alone: with 10,000 entries in an inbox a
// wrong match has a probability of 5e-16 per lookup, and nobody outside knows the salt.
func (h Hasher) ID(text string) uint64 {
	if text == "" {
		return 0
	}
	return max(maphash.String(h.seed, text), 1)
}

// narrow packs 16 bits of the hashes of from and dest: a filter, whose matches must be looked at.
func (h Hasher) narrow(from, dest string) uint32 {
	return h.short(from)<<16 | h.short(dest)
}

func (h Hasher) short(s string) uint32 { return uint32(maphash.String(h.seed, s) >> 48) }

// NewSalt makes the salt of a new store.
func NewSalt() (s Salt) {
	rand.Read(s[:]) // never fails
	return s
}
