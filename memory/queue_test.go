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

// What wake-ups bring stands in the inbox as they say, also when one put makes receipts for a sender before and after it
// puts a message to that sender, and when a message goes to many.
func TestWakeUpsFollowOnPrev(t *testing.T) {
	t.Parallel()
	q := memory.New(&memory.Options{DropOldest: true, InboxMessages: 1})
	defer q.Close()
	brought := map[string][]bachata.Wake{}
	for _, channel := range []string{"anna", "bob", "carl", "dora"} {
		stop, err := q.Watch(channel, func(w bachata.Wake) {
			w.Envelopes = slices.Clone(w.Envelopes)
			brought[channel] = append(brought[channel], w)
		})
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	item := func(id, origin string, channels ...string) bachata.Item {
		return bachata.Item{Channels: channels, ID: bachata.StringID(id), Origin: origin, From: origin, Dest: channels[0], Payload: []byte(id)}
	}
	for _, items := range [][]bachata.Item{
		{item("1", "anna", "bob", "carl", "dora")},
		{item("2", "eve", "bob"), item("3", "eve", "anna"), item("4", "eve", "carl")}, // anna: a receipt, a message, a receipt
		{item("5", "eve", "dora"), item("6", "eve", "bob")},                           // a receipt to anna, one to eve
	} {
		clear(brought)
		if _, err := q.Put(t.Context(), items); err != nil {
			t.Fatal(err)
		}
		for channel, wakes := range brought {
			list, err := q.Fetch(t.Context(), channel, 0, bachata.Limit{})
			if err != nil {
				t.Fatal(err)
			}
			follows := map[bachata.Cursor]bachata.Cursor{} // on which
			prev := bachata.Cursor(0)
			for i := range list {
				follows[list[i].Cursor] = prev
				prev = list[i].Cursor
			}
			for _, w := range wakes {
				prev := w.Prev
				for _, e := range w.Envelopes {
					if on, ok := follows[e.Cursor]; !ok || on != prev && on != 0 {
						t.Errorf("%s was woken with %q (%d) at %d behind %d, where it is %v, behind %d", channel, e.ID.Text, e.Kind, e.Cursor, prev, ok, on)
					}
					prev = e.Cursor
				}
			}
		}
		if len(brought) == 0 {
			t.Errorf("nobody was woken by %v", items)
		}
	}
}

// Who takes more at once than one commit holds, of several senders, wakes each for all that is theirs.
func TestWakeUpsOfManyConfirmations(t *testing.T) {
	t.Parallel()
	const n = 700
	q := memory.New(nil)
	defer q.Close()
	senders := []string{"anna", "anna", "eve"} // in turns
	told := map[string][]bachata.Cursor{}
	for _, sender := range []string{"anna", "eve"} {
		stop, err := q.Watch(sender, func(w bachata.Wake) {
			for _, e := range w.Envelopes {
				if list := told[sender]; len(list) > 0 && list[len(list)-1] != w.Prev {
					t.Errorf("what %s is brought follows on %d, want on %d", sender, w.Prev, list[len(list)-1])
				}
				told[sender] = append(told[sender], e.Cursor)
				w.Prev = e.Cursor
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	var items []bachata.Item
	var keys []bachata.Key
	for i := range n {
		id, sender := fmt.Sprint(i), senders[i%len(senders)]
		items = append(items, bachata.Item{Channels: []string{"bob"}, ID: bachata.StringID(id), Origin: sender, From: sender, Dest: "bob"})
		keys = append(keys, bachata.Key{ID: id})
	}
	if _, err := q.Put(t.Context(), items); err != nil {
		t.Fatal(err)
	}
	if _, err := q.PopDelivered(t.Context(), "bob", "bob", keys); err != nil {
		t.Fatal(err)
	}
	receipts := 0
	for sender, got := range told {
		list, err := q.Fetch(t.Context(), sender, 0, bachata.Limit{})
		if err != nil {
			t.Fatal(err)
		}
		var want []bachata.Cursor
		for i := range list {
			want = append(want, list[i].Cursor)
		}
		if receipts += len(want); !slices.Equal(got, want) {
			t.Errorf("wake-ups have brought %s %d receipts, want the %d of the inbox", sender, len(got), len(want))
		}
	}
	if receipts != n {
		t.Errorf("%d receipts for %d messages", receipts, n)
	}
}
