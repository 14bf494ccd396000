package inbox_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/bachata-go/bachata/internal/inbox"
)

// TestIndex adds and removes keys of which many belong to the same bucket, and have the same tag there.
func TestIndex(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var x inbox.Index
	slots := map[inbox.Key]uint32{}
	passed := 0
	for range 50_000 {
		var key inbox.Key
		key[1], key[5] = byte(r.IntN(40)), byte(r.IntN(3))
		binary.LittleEndian.PutUint16(key[6:], uint16(r.IntN(20)))
		slot := slots[key]
		if got := x.Find(key); got != slot {
			t.Fatalf("Find(%x) = %d, want %d", key, got, slot)
		}
		if slot != 0 {
			x.Remove(slot)
			delete(slots, key)
		} else {
			slots[key] = x.Add(key)
		}
		passed = max(passed, x.Passed())
	}
	if passed < 100 {
		t.Errorf("at most %d keys were behind a full bucket: the test tests little", passed)
	}
	for key, slot := range slots {
		if got := x.Find(key); got != slot {
			t.Fatalf("Find(%x) = %d, want %d", key, got, slot)
		}
		x.Remove(slot)
	}
	if n := x.Passed(); n != 0 {
		t.Errorf("the index is empty, and %d keys are counted behind full buckets", n)
	}
}
