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
