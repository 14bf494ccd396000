package inbox_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
)

// fullStore has no room after it has written a receipt, until somebody waits for room.
type fullStore struct {
	slowStore
	full   atomic.Bool
	onRoom func()
}

func (s *fullStore) Ready(int) bool { return !s.full.Load() }

func (s *fullStore) Room(context.Context, int) error {
	s.full.Store(false)
	s.onRoom()
	return nil
}

func (s *fullStore) Write(ops []inbox.Op, urgent bool) (inbox.Place[int], error) {
	if s.onRoom != nil && ops[0].Kind == inbox.OpReceipt {
		s.full.Store(true)
	}
	return s.slowStore.Write(ops, urgent)
}

// Whoever takes the lock while a put waits for room does not take whom that put has to wake.
func TestWakeUpSurvivesAWaitForRoom(t *testing.T) {
	t.Parallel()
	s := &fullStore{}
	e, err := newEngine(bachata.QueueOptions{}, s)
	if err != nil {
		t.Fatal(err)
	}
	item := func(id string) bachata.Item {
		return bachata.Item{Channels: []string{"bob"}, Origin: "anna", From: "anna", ID: bachata.StringID(id), Dest: "bob", Payload: []byte("x")}
	}
	if _, err := e.Put(t.Context(), []bachata.Item{item("1")}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.PopDelivered(t.Context(), "bob", "bob", []bachata.Key{{ID: "1"}}); err != nil {
		t.Fatal(err)
	}
	woken := 0
	stop, err := e.Watch("anna", func(bachata.Wake) { woken++ })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	s.onRoom = func() { // meanwhile somebody confirms what is not there
		if _, err := e.PopDelivered(t.Context(), "carl", "carl", []bachata.Key{{ID: "none"}}); err != nil {
			t.Error(err)
		}
	}
	if _, err := e.Put(t.Context(), []bachata.Item{item("1"), item("2")}); err != nil { // 1 is told once more
		t.Fatal(err)
	}
	if woken == 0 {
		t.Error("anna was not woken for the receipt that was repeated")
	}
}

// A store that can't say at once what receipts say has their reader woken to look: once for all that one call makes.
func TestReceiptsWakeOnce(t *testing.T) {
	t.Parallel()
	e, err := newEngine(bachata.QueueOptions{}, &slowStore{})
	if err != nil {
		t.Fatal(err)
	}
	var keys []bachata.Key
	for i, origin := range []string{"anna", "anna", "anna", "eve", "anna"} {
		id := strconv.Itoa(i)
		if _, err := e.Put(t.Context(), []bachata.Item{{
			Channels: []string{"bob"}, Origin: origin, ID: bachata.StringID(id), Payload: []byte("x"),
		}}); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, bachata.Key{ID: id})
	}
	var woken []string
	for _, channel := range []string{"anna", "eve"} {
		stop, err := e.Watch(channel, func(w bachata.Wake) {
			woken = append(woken, channel)
			if len(w.Envelopes) > 0 {
				t.Errorf("%s is told of %d receipts, of which the store has said nothing", channel, len(w.Envelopes))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	if _, err := e.PopDelivered(t.Context(), "bob", "bob", keys); err != nil {
		t.Fatal(err)
	}
	if want := []string{"anna", "eve", "anna"}; !slices.Equal(woken, want) {
		t.Errorf("woken: %v, want %v", woken, want)
	}
}

// What is kept of a message must not keep its frame.
func TestCopyCopies(t *testing.T) {
	t.Parallel()
	frame := strings.Repeat("x", 100)
	for _, texts := range [][2]string{{frame[:10], frame[10:20]}, {frame[:10], ""}, {"", frame[:10]}, {"", ""}} {
		a, b := inbox.Copy(texts[0], texts[1])
		if a != texts[0] || b != texts[1] {
			t.Errorf("Copy(%q) = %q, %q", texts, a, b)
		}
		for _, s := range []string{a, b} {
			if len(s) > 0 && unsafe.StringData(s) == unsafe.StringData(frame) {
				t.Errorf("Copy(%q) returned a part of what it was given", texts)
			}
		}
	}
}
