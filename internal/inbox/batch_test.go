package inbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
)

// flushStore counts whether what was written would be made safe.
type flushStore struct {
	slowStore
	flushed uint64
}

func (s *flushStore) Flush() { s.flushed = s.ticket }
func (s *flushStore) Wait(ctx context.Context, ticket uint64) error {
	s.flushed = max(s.flushed, ticket)
	return s.slowStore.Wait(ctx, ticket)
}

// A put that is refused because it is too large has made a message expire before: that is made safe, and only then is
// the sender of the expired one woken.
func TestRefusedPutThatExpires(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	store := &flushStore{}
	e, err := newEngine(bachata.QueueOptions{
		InboxBytes: 10, InboxAge: time.Second, Now: func() time.Time { return now },
	}, store)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := e.Put(ctx, []bachata.Item{{
		Channels: []string{"bob"}, ID: bachata.StringID("1"), Origin: "anna", Payload: []byte("x"),
	}}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	woken := 0
	stop, err := e.Watch("anna", func(bachata.Wake) {
		if woken++; store.synced < store.ticket {
			t.Errorf("anna is woken when ticket %d is safe, of %d", store.synced, store.ticket)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	res, err := e.Put(ctx, []bachata.Item{{
		Channels: []string{"bob"}, ID: bachata.StringID("2"), Origin: "anna", Payload: make([]byte, 11),
	}})
	if err != nil || res[0][0] != bachata.Full {
		t.Fatalf("Put answered %v, %v; want full", res, err)
	}
	if store.flushed < store.ticket {
		t.Errorf("the store was told to write up to %d of %d", store.flushed, store.ticket)
	}
	if woken != 1 {
		t.Errorf("anna was woken %d times, want once", woken)
	}
}

// Each call of a batch wakes whom it would wake by itself, once Wait has waited, and the next batch does not wake them again.
func TestBatchWakesForAllItsCalls(t *testing.T) {
	store := &slowStore{}
	e, err := newEngine(bachata.QueueOptions{DropOldest: true, InboxMessages: 1}, store)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	item := func(id, origin, channel string) []bachata.Item {
		return []bachata.Item{{Channels: []string{channel}, ID: bachata.StringID(id), Origin: origin, Payload: []byte("x")}}
	}
	woken := map[string]int{}
	for _, origin := range []string{"anna", "eve", "fay"} {
		if _, err := e.Put(ctx, item("of "+origin, origin, "from "+origin)); err != nil {
			t.Fatal(err)
		}
		stop, err := e.Watch(origin, func(bachata.Wake) { woken[origin]++ })
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	b := e.Batch()
	for _, channel := range []string{"from anna", "from eve"} { // which drops what is there
		if _, err := b.Put(ctx, item("to "+channel, "bob", channel)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.PopDelivered(ctx, "from fay", "bob", []bachata.Key{{ID: "of fay"}}); err != nil {
		t.Fatal(err)
	}
	if len(woken) > 0 {
		t.Errorf("%v are woken before Wait", woken)
	}
	for range 2 {
		if err := b.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		if len(woken) != 3 || woken["anna"] != 1 || woken["eve"] != 1 || woken["fay"] != 1 {
			t.Errorf("woken: %v, want anna, eve and fay once each", woken)
		}
	}
}
