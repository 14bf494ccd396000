package inbox_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
)

// TestReadsWithoutTheLock has a partial key be compared with messages while others work. If the lock were held the test
// would never end.
func TestReadsWithoutTheLock(t *testing.T) {
	t.Parallel()
	s := &slowStore{}
	e, err := newEngine(bachata.QueueOptions{}, s)
	if err != nil {
		t.Fatal(err)
	}
	reads := 0
	s.onRead = func(f *inbox.Found[int], env *bachata.Envelope) {
		reads++
		env.From = "anna"
		if reads == 1 { // what was located is gone when it is to be taken
			_, err := e.PopDelivered(t.Context(), "bob", "bob", []bachata.Key{{Cursor: bachata.Cursor(f.Seq)}})
			if err != nil {
				t.Error(err)
			}
		}
	}
	for i := range 3 {
		item := bachata.Item{Channels: []string{"bob"}, ID: bachata.StringID("1"), From: "anna", Dest: fmt.Sprint(i), Payload: []byte("x")}
		if _, err := e.Put(t.Context(), []bachata.Item{item}); err != nil {
			t.Fatal(err)
		}
	}
	key := bachata.Key{ID: "1", From: "anna"}
	popped, err := e.PopDelivered(t.Context(), "bob", "bob", []bachata.Key{key})
	if err != nil || !popped[0].Found {
		t.Errorf("PopDelivered = %+v, %v, want the second of three", popped, err)
	}
	gone, err := e.CheckDelivered(t.Context(), "bob", key)
	if err != nil || gone {
		t.Errorf("CheckDelivered = %v, %v, want false: one of three waits", gone, err)
	}
	if reads < 3 {
		t.Errorf("%d messages were read, want at least 3", reads)
	}
}

// Receipts that are taken one after the other are one change, wherever they stand between messages.
func TestPopManyReceipts(t *testing.T) {
	t.Parallel()
	h := newHarness(t, bachata.QueueOptions{})
	for i := range 8 {
		id := fmt.Sprint(i)
		h.put("anna", id, "bob")
		h.pop("bob", bachata.Key{ID: id})
		if i == 3 {
			h.put("bob", "to anna", "anna")
		}
	}
	found := h.fetch("anna") // four receipts, a message, four receipts
	key := func(i int) bachata.Key { return bachata.Key{Cursor: bachata.Cursor(found[i].Seq)} }
	keys := []bachata.Key{key(1), key(2), {Cursor: 1}, key(3), key(4), key(5), key(1), key(7), key(8)}
	popped := make([]bachata.Popped, len(keys))
	h.book.DecidePop("anna", "anna", keys, h.now, ^uint64(0), &h.ops, popped)
	if n := h.ops.Len(); n != 3 {
		t.Errorf("receipts, a message and receipts leave by %d changes, want 3", n)
	}
	h.book.Unmark("anna", popped)
	h.ops.Reset()
	h.book.DecidePop("anna", "anna", keys, h.now, ^uint64(0), &h.ops, popped)
	for i, p := range popped {
		if want := i != 2 && i != 6; p.Found != want || want && p.Cursor != keys[i].Cursor {
			t.Errorf("popping the key %d found %+v, want found %v", i, p, want)
		}
	}
	h.commit()
	h.want("anna", "receipt 0 bob", "receipt 0 bob")
	if left := h.fetch("anna"); left[0].Seq != found[0].Seq || left[1].Seq != found[6].Seq {
		t.Errorf("%v are left, want %d and %d", left, found[0].Seq, found[6].Seq)
	}
	h.replay("anna", "bob")
}

// TestPopFromALargeInbox compares with a plain list, with ids that come several times.
func TestPopFromALargeInbox(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	h := newHarness(t, bachata.QueueOptions{})
	var ids []string // in the order of the inbox
	pop := func(id string) {
		t.Helper()
		at := slices.Index(ids, id)
		var want uint64
		if at >= 0 {
			want = h.fetch("bob")[at].Seq
			ids = slices.Delete(ids, at, at+1)
		}
		popped := make([]bachata.Popped, 1)
		h.book.DecidePop("bob", "bob", []bachata.Key{{ID: id}}, h.now, ^uint64(0), &h.ops, popped)
		h.commit()
		if popped[0].Found != (at >= 0) || uint64(popped[0].Cursor) != want {
			t.Fatalf("popping %s found %+v, want number %d", id, popped[0], want)
		}
	}
	for round := range 2000 {
		id := fmt.Sprint(rng.IntN(300))
		switch {
		case round < 800 || round > 1500 && rng.IntN(2) == 0:
			item := bachata.Item{Channels: []string{"bob"}, ID: bachata.StringID(id), Dest: fmt.Sprint(round), Payload: []byte("x")}
			h.item(item)
			ids = append(ids, id)
		case rng.IntN(4) == 0 && len(ids) > 0: // from anywhere, by its place
			at := rng.IntN(len(ids))
			h.pop("bob", bachata.Key{Cursor: bachata.Cursor(h.fetch("bob")[at].Seq)})
			ids = slices.Delete(ids, at, at+1)
		default:
			pop(id)
		}
	}
	for len(ids) > 0 {
		pop(ids[rng.IntN(len(ids))])
	}
	h.want("bob")
}
