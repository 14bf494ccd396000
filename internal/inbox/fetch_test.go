package inbox_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/bachata-go/bachata"
)

// TestFetchAmongDrops has something new dropped each time that Fetch has waited for the drops before it to be safe.
func TestFetchAmongDrops(t *testing.T) {
	t.Parallel()
	s := &slowStore{}
	e, err := newEngine(bachata.QueueOptions{DropOldest: true, InboxMessages: 3}, s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	puts := 0
	put := func() {
		puts++
		item := bachata.Item{Channels: []string{"bob"}, ID: bachata.StringID(fmt.Sprint(puts)), Dest: "bob", Payload: []byte("x")}
		if _, err := e.Put(t.Context(), []bachata.Item{item}); err != nil {
			t.Error(err)
		}
	}
	for range 5 {
		put()
	}
	unsafe := func() {
		safe := s.synced
		put()
		s.synced = safe
	}
	unsafe()
	s.waits, s.onWait = 0, func() {
		if unsafe(); s.waits > 100 {
			cancel()
		}
	}
	list, err := e.Fetch(ctx, "bob", 0, bachata.Limit{})
	if err != nil {
		t.Fatalf("Fetch while others put: %v after %d puts, want it to return", err, puts)
	}
	if len(list) == 0 || list[0].Gap.Dropped != 3 {
		t.Errorf("Fetch returned %+v, want the gap of the 3 that were lost when it looked", list)
	}
}

// TestFetchAmongUnsafe has everything that an inbox holds be younger than what is safe.
func TestFetchAmongUnsafe(t *testing.T) {
	t.Parallel()
	s := &slowStore{}
	e, err := newEngine(bachata.QueueOptions{DropOldest: true, InboxMessages: 2}, s)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		item := bachata.Item{Channels: []string{"bob"}, ID: bachata.StringID(fmt.Sprint(i)), Dest: "bob", Payload: []byte("x")}
		if _, err := e.Put(t.Context(), []bachata.Item{item}); err != nil {
			t.Fatal(err)
		}
		s.synced = 0
	}
	list, err := e.Fetch(t.Context(), "bob", 0, bachata.Limit{})
	if err != nil || len(list) != 3 || list[0].Gap.Dropped != 3 {
		t.Errorf("Fetch returned %+v, %v, want a gap of 3 and 2 messages", list, err)
	}
	if s.synced < s.ticket {
		t.Errorf("Fetch returned what is not safe: commit %d of %d is", s.synced, s.ticket)
	}
}
