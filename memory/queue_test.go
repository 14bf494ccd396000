package memory_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

type counts [64]atomic.Int64

func (c *counts) Add(counter bachata.Counter, n int64) { c[counter].Add(n) }

// The cap on remembered ids shortens the window: Info, a line in the log and a counter say so.
func TestShortenedWindowIsTold(t *testing.T) {
	t.Parallel()
	var counters counts
	var log bytes.Buffer
	q := memory.New(&memory.Options{DedupeCap: 100, Counters: &counters, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	defer q.Close()
	for i := range 1000 {
		item := bachata.Item{Channels: []string{"bob"}, ID: bachata.StringID(fmt.Sprint(i)), Origin: "anna"}
		if _, err := q.Put(t.Context(), []bachata.Item{item}); err != nil {
			t.Fatal(err)
		}
		if _, err := q.PopDelivered(t.Context(), "bob", "bob", []bachata.Key{{ID: item.ID.Text}}); err != nil {
			t.Fatal(err)
		}
	}
	if window := q.Info().Dedupe; window >= time.Hour {
		t.Errorf("Info().Dedupe = %v, want less than the hour that it was set to", window)
	}
	if counters[bachata.CountDedupeShortened].Load() == 0 {
		t.Errorf("%v was not counted", bachata.CountDedupeShortened)
	}
	if !strings.Contains(log.String(), "dedupe window is shortened") {
		t.Errorf("the log says %q", log.String())
	}
}

// New has no error to return: every method says which option is wrong.
func TestBadOptions(t *testing.T) {
	t.Parallel()
	q := memory.New(&memory.Options{Dedupe: time.Second})
	defer q.Close()
	_, err := q.Put(t.Context(), []bachata.Item{{Channels: []string{"bob"}}})
	if err == nil || !strings.Contains(err.Error(), "Dedupe is 1s, must be 2m0s to 168h0m0s") {
		t.Errorf("Put() = %v, want the name of the option and its limits", err)
	}
}

// taker takes what is put, unless it is closed.
type taker struct {
	closed bool
	taken  []string
	woken  int
}

func (k *taker) Wake(bachata.Wake) { k.woken++ }

func (k *taker) Take(_ context.Context, payload []byte) bool {
	if !k.closed {
		k.taken = append(k.taken, string(payload))
	}
	return !k.closed
}

// A message is handed over only where nothing waits before it, and then it is in no inbox.
func TestSimpleQueueHandsOver(t *testing.T) {
	t.Parallel()
	q := memory.New(&memory.Options{Simple: true})
	defer q.Close()
	bob := &taker{}
	stop, err := q.WatchAll(func(channel string) bachata.Watcher {
		if channel == "bob" {
			return bob
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	put := func(text string, channels ...string) {
		t.Helper()
		results, err := q.Put(t.Context(), []bachata.Item{{Channels: channels, Payload: []byte(text)}})
		if err != nil || slices.ContainsFunc(results[0], func(s bachata.PutStatus) bool { return s != bachata.Stored }) {
			t.Errorf("Put(%q) = %v, %v, want all stored", text, results, err)
		}
	}
	fetch := func(channel string, want ...string) {
		t.Helper()
		envelopes, err := q.Fetch(t.Context(), channel, 0, bachata.Limit{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range envelopes {
			got = append(got, string(e.Payload))
		}
		if !slices.Equal(got, want) {
			t.Errorf("the inbox of %s has %q, want %q", channel, got, want)
		}
	}
	put("1", "anna", "bob", "carl")
	fetch("bob")
	fetch("anna", "1")
	fetch("carl", "1")
	bob.closed = true
	put("2", "bob")
	if bob.woken != 1 {
		t.Errorf("bob was woken %d times for what he did not take, want once", bob.woken)
	}
	bob.closed = false
	put("3", "bob") // behind 2
	fetch("bob", "2", "3")
	put("4", "bob")
	if want := []string{"1", "4"}; !slices.Equal(bob.taken, want) {
		t.Errorf("bob was handed %q, want %q", bob.taken, want)
	}
}

// A wake-up has the receipts with it that one pop has made: who is woken need not fetch them.
func TestWakeUpBringsReceipts(t *testing.T) {
	t.Parallel()
	q := memory.New(nil)
	defer q.Close()
	var wakes []bachata.Wake
	stop, err := q.Watch("anna", func(w bachata.Wake) {
		w.Envelopes = slices.Clone(w.Envelopes)
		wakes = append(wakes, w)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	last := bachata.Cursor(0)
	for _, ids := range [][]string{{"1"}, {"2", "3", "4"}} {
		var keys []bachata.Key
		for _, id := range ids {
			item := bachata.Item{Channels: []string{"bob"}, ID: bachata.StringID(id), Origin: "anna", From: "anna", Dest: "to bob"}
			if _, err := q.Put(t.Context(), []bachata.Item{item}); err != nil {
				t.Fatal(err)
			}
			keys = append(keys, bachata.Key{ID: id})
		}
		wakes = nil
		if _, err := q.PopDelivered(t.Context(), "bob", "Bob", keys); err != nil {
			t.Fatal(err)
		}
		if len(wakes) != 1 || wakes[0].Prev != last || len(wakes[0].Envelopes) != len(ids) {
			t.Fatalf("a pop of %q has woken with %+v, want %d receipts behind %d, all at once", ids, wakes, len(ids), last)
		}
		for i, e := range wakes[0].Envelopes {
			if e.Kind != bachata.KindReceipt || e.ID.Text != ids[i] || e.From != "Bob" || e.Dest != "to bob" || e.Cursor <= last {
				t.Errorf("the wake-up has %+v, want the receipt of %q", e, ids[i])
			}
			last = e.Cursor
		}
	}
}
