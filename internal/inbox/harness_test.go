package inbox_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
)

// harness drives a Book, and keeps what a journal of it would hold.
type harness struct {
	t       *testing.T
	limits  inbox.Limits
	book    *inbox.Book[int]
	now     int64
	ops     inbox.Ops
	journal [][]inbox.Op
}

func newBook(l inbox.Limits) *inbox.Book[int] {
	return inbox.New(l, inbox.Store[int]{
		Weight: func(int) int { return 100 },
	})
}

func newHarness(t *testing.T, o bachata.QueueOptions) *harness {
	t.Helper()
	l, err := inbox.Resolve(o)
	if err != nil {
		t.Fatal(err)
	}
	return &harness{t: t, limits: l, book: newBook(l), now: 1_700_000_000_000}
}

// commit applies what was decided.
func (h *harness) commit() {
	if h.ops.Len() == 0 {
		return
	}
	list := slices.Clone(h.ops.List)
	for i := range list {
		list[i].More = slices.Clone(list[i].More) // it is the Ops', which are used again
	}
	h.journal = append(h.journal, list)
	h.book.Apply(list, len(h.journal), 1)
	h.ops.Reset()
	for h.book.Over() {
		h.book.DecideTrim(h.now, &h.ops)
		h.commit()
	}
}

func (h *harness) put(origin, id string, channels ...string) bachata.PutResult {
	item := bachata.Item{Channels: channels, Origin: origin, From: origin, Dest: channels[0], Payload: []byte("payload")}
	if id != "" {
		item.ID = bachata.StringID(id)
	}
	return h.item(item)
}

func (h *harness) item(item bachata.Item) bachata.PutResult {
	for _, channel := range item.Channels {
		h.expire(channel)
	}
	m := h.book.NewMessage(inbox.Salt{}, &item)
	m.Time = h.now
	res := make(bachata.PutResult, len(item.Channels))
	h.book.DecidePut(m, item.Channels, h.now, &h.ops, res)
	h.commit()
	h.book.Age(h.now, 1<<20)
	return res
}

func (h *harness) expire(channel string) {
	for h.book.Due(channel, h.now) {
		if !h.book.DecideExpire(channel, h.now, false, &h.ops) {
			h.commit()
			return
		}
		h.commit()
	}
}

func (h *harness) pop(channel string, key bachata.Key) bool {
	popped := make([]bachata.Popped, 1)
	h.book.DecidePop(channel, channel, []bachata.Key{key}, h.now, ^uint64(0), &h.ops, popped)
	h.commit()
	return popped[0].Found
}

func (h *harness) fetch(channel string) []inbox.Found[int] {
	return h.book.Fetch(nil, channel, 0, bachata.Limit{}, ^uint64(0))
}

// texts describes an inbox.
func (h *harness) texts(channel string) (all []string) {
	for _, f := range h.fetch(channel) {
		switch f.Kind {
		case bachata.KindMessage:
			all = append(all, "message")
		case bachata.KindReceipt:
			all = append(all, fmt.Sprint("receipt ", f.Cause, " ", f.From))
		default:
			all = append(all, fmt.Sprint("gap ", f.Gap.Dropped, " ", f.Gap.Expired, " ", f.Gap.Receipts))
		}
	}
	return all
}

func (h *harness) want(channel string, want ...string) {
	h.t.Helper()
	if got := h.texts(channel); fmt.Sprint(got) != fmt.Sprint(want) {
		h.t.Errorf("inbox of %s is %q, want %q", channel, got, want)
	}
}

func (h *harness) after(d time.Duration) { h.now += d.Milliseconds() }

// replay makes a second book of the journal and compares.
func (h *harness) replay(channels ...string) {
	h.t.Helper()
	again := newBook(h.limits)
	for i, ops := range h.journal {
		again.Apply(ops, i+1, 1)
	}
	for again.Age(h.now, 1<<20) {
	}
	for h.book.Age(h.now, 1<<20) {
	}
	if a, b := again.Counts(), h.book.Counts(); a != b {
		h.t.Errorf("replayed: %+v, want %+v", a, b)
	}
	for _, channel := range channels {
		a := again.Fetch(nil, channel, 0, bachata.Limit{}, ^uint64(0))
		if b := h.fetch(channel); fmt.Sprint(a) != fmt.Sprint(b) {
			h.t.Errorf("inbox of %s replayed is %v, want %v", channel, a, b)
		}
	}
}
