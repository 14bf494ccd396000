package inbox

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
)

// Salt is the secret of a store that goes into its keys, so that nobody outside can make two messages collide.
type Salt [16]byte

// Key names a message among all that a store remembers: 128 bits of a SHA-256 over the salt and, each with its length
// before it, origin, dest and the text of the id.
type Key [16]byte

// KeyOf returns the key of the message that origin sent to dest as id. It is safe for concurrent use.
func KeyOf(salt Salt, origin, dest, id string) Key {
	var room [256]byte
	b := append(room[:0], salt[:]...)
	for _, s := range [...]string{origin, dest, id} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	sum := sha256.Sum256(b)
	return Key(sum[:16])
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
