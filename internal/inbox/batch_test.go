package inbox_test

import (
	"context"
	"errors"
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

// leadStore notes what it was asked to make safe at once.
type leadStore struct {
	slowStore
	led []uint64
}

func (s *leadStore) Lead(ticket uint64) { s.led = append(s.led, ticket) }

// A batch has what it is about to wait for made safe by who waits, unless its context has ended. Calls by themselves leave that
// to the store: many of them wait together.
func TestOnlyABatchLeads(t *testing.T) {
	store := &leadStore{}
	e, err := newEngine(bachata.QueueOptions{}, store)
	if err != nil {
		t.Fatal(err)
	}
	item := func(id string) []bachata.Item {
		return []bachata.Item{{Channels: []string{"bob"}, ID: bachata.StringID(id), Origin: "anna", Payload: []byte("x")}}
	}
	ended, end := context.WithCancel(t.Context())
	b := e.Batch()
	for _, step := range []struct {
		name  string
		do    func() error
		leads int
	}{
		{"a put by itself", func() error { _, err := e.Put(t.Context(), item("1")); return err }, 0},
		{"a pop by itself", func() error {
			_, err := e.PopDelivered(t.Context(), "bob", "bob", []bachata.Key{{ID: "1"}})
			return err
		}, 0},
		{"a put", func() error { _, err := b.Put(t.Context(), item("2")); return err }, 0},
		{"its end", func() error { return b.Wait(t.Context()) }, 1},
		{"nothing", func() error { return b.Wait(t.Context()) }, 0},
		{"a pop", func() error {
			_, err := b.PopDelivered(t.Context(), "bob", "bob", []bachata.Key{{ID: "2"}})
			return err
		}, 0},
		{"its end", func() error { return b.Wait(t.Context()) }, 1},
		{"a pop of what is not there", func() error {
			_, err := b.PopDelivered(t.Context(), "bob", "bob", []bachata.Key{{ID: "none"}})
			return errors.Join(err, b.Wait(t.Context()))
		}, 0},
		{"the end of a batch whose context has ended", func() error {
			_, err := b.Put(ended, item("3"))
			end()
			return errors.Join(err, b.Wait(ended))
		}, 0},
	} {
		store.led = nil
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if len(store.led) != step.leads {
			t.Errorf("%s: asked to make %v safe at once, want %d", step.name, store.led, step.leads)
		}
		if len(store.led) > 0 && store.led[0] != store.ticket {
			t.Errorf("%s: asked to make %d safe at once, not %d", step.name, store.led[0], store.ticket)
		}
	}
}
