package inbox_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

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

// TestIndexPassed looks for what is not there when each bucket has been full once, and some of what was put behind it then
// is still there: the search must end all the same.
func TestIndexPassed(t *testing.T) {
	t.Parallel()
	var x inbox.Index
	n := byte(0)
	key := func(home byte) (k inbox.Key) {
		n++
		k[1], k[6] = home, n
		return k
	}
	const full = 12 // places of a bucket
	var first []uint32
	for range full + 1 { // the last goes into the other bucket
		first = append(first, x.Add(key(0)))
	}
	for _, slot := range first[:full] {
		x.Remove(slot)
	}
	for range full { // and now the other way round
		x.Add(key(1))
	}
	if got := x.Passed(); got != 2 {
		t.Fatalf("%d keys are behind full buckets, want one for each of two", got)
	}
	ended := make(chan uint32, 2)
	go func() {
		ended <- x.Find(key(0))
		ended <- x.Find(key(1))
	}()
	for range 2 {
		select {
		case got := <-ended:
			if got != 0 {
				t.Errorf("Find of what is not there = %d, want 0", got)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("Find of what is not there has no end")
		}
	}
}
