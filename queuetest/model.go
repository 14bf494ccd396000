package queuetest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/bachata-go/bachata"
)

// model is what a reliable queue should hold, kept as plainly as possible. Every operation is applied to it too; then
// match compares it with what the queue returns and takes over what the contract leaves to the queue: the values of
// cursors, the order of receipts that one operation made, and whether gaps that meet are one or several.
type model struct {
	o       bachata.QueueOptions
	now     func() time.Time
	since   time.Time // when the operation under way began
	inboxes map[string]*modelInbox
	known   map[modelKey]*modelMessage
}

// modelKey is what a message is known by.
type modelKey struct{ origin, dest, id string }

// modelMessage is a message that was accepted.
type modelMessage struct {
	item     bachata.Item
	accepted time.Time
	waits    int          // inboxes that it waits in
	receipts []modelEntry // that it has made, as they are repeated
}

// modelEntry is a message or a receipt in an inbox, or the mark of one that was lost there.
type modelEntry struct {
	kind    bachata.Kind
	cursor  bachata.Cursor // zero until it was fetched from the queue that is open
	placed  bool           // its place in the order is known: it was fetched before
	put     time.Time      // into the inbox
	message *modelMessage  // of a message

	text       string // of a receipt: as describe spells it
	from, till int64  // its Time lies between these
	gap        bachata.Gap
}

func (e *modelEntry) describe() string {
	if e.kind != bachata.KindMessage {
		return e.text
	}
	m := e.message.item
	return describe(bachata.Envelope{ID: m.ID, Payload: m.Payload})
}

// modelInbox is an inbox. Entries that are not placed yet came with the last operation.
type modelInbox struct {
	entries []*modelEntry
	largest bachata.Cursor            // that was fetched since the queue was opened
	history map[bachata.Cursor]follow // what was fetched since then, for the wake-ups
}

// follow is what a wake-up may say of an envelope: Prev must be at least after.
type follow struct {
	text  string
	after bachata.Cursor
}

func newModel(o bachata.QueueOptions, now func() time.Time) *model {
	return &model{o: o, now: now, inboxes: map[string]*modelInbox{}, known: map[modelKey]*modelMessage{}}
}

func (m *model) inbox(channel string) *modelInbox {
	b := m.inboxes[channel]
	if b == nil {
		b = &modelInbox{history: map[bachata.Cursor]follow{}}
		m.inboxes[channel] = b
	}
	return b
}

// put applies one item, given what the queue answered, and returns a complaint if it must not answer that.
func (m *model) put(item bachata.Item, got bachata.PutResult) string {
	key := modelKey{item.Origin, item.Dest, item.ID.Text}
	old := m.known[key]
	allowed := []string{m.statuses(item, old)}
	if old != nil && old.waits == 0 && m.now().Sub(old.accepted) > m.o.Dedupe {
		// Past the window it is forgotten: a queue that forgets by generations may take as long again.
		if forgotten := m.statuses(item, nil); m.now().Sub(old.accepted) > 2*m.o.Dedupe {
			allowed = []string{forgotten}
		} else {
			allowed = append(allowed, forgotten)
		}
	}
	if answer := fmt.Sprint(got); !slices.Contains(allowed, answer) {
		return fmt.Sprintf("Put of %s from %q to %q into %q answered %s, want %q", item.ID, item.Origin, item.Dest, item.Channels, answer, allowed)
	}
	if slices.Contains(got, bachata.Duplicate) {
		for _, r := range old.receipts {
			m.receipt(item.Origin, r)
		}
		return ""
	}
	m.store(item, got, key)
	return ""
}

// statuses returns what Put answers to item, spelled out, if old is what is known of it.
func (m *model) statuses(item bachata.Item, old *modelMessage) string {
	want := make(bachata.PutResult, len(item.Channels))
	for i, channel := range item.Channels {
		switch {
		case old != nil:
			want[i] = bachata.Duplicate
		case m.fits(m.inbox(channel), item):
			want[i] = bachata.Stored
		default:
			want[i] = bachata.Full
		}
	}
	return fmt.Sprint(want)
}

// fits reports whether an inbox takes the item, after dropping what it may drop.
func (m *model) fits(b *modelInbox, item bachata.Item) bool {
	if m.o.DropOldest {
		return len(item.Payload) <= m.o.InboxBytes
	}
	return b.room(m.o, item)
}

func (b *modelInbox) room(o bachata.QueueOptions, item bachata.Item) bool {
	n, bytes := 1, len(item.Payload)
	for _, e := range b.entries {
		if e.kind == bachata.KindMessage {
			n++
			bytes += len(e.message.item.Payload)
		}
	}
	return n <= o.InboxMessages && bytes <= o.InboxBytes
}

// store puts the item into the inboxes that took it and reports those that were full.
func (m *model) store(item bachata.Item, got bachata.PutResult, key modelKey) {
	msg := &modelMessage{item: item, accepted: m.now()}
	for i, channel := range item.Channels {
		if got[i] != bachata.Stored {
			continue
		}
		b := m.inbox(channel)
		for !b.room(m.o, item) {
			oldest := slices.IndexFunc(b.entries, func(e *modelEntry) bool { return e.kind == bachata.KindMessage })
			m.lose(channel, oldest, bachata.OutcomeDropped)
		}
		b.entries = append(b.entries, &modelEntry{put: m.now(), message: msg})
		msg.waits++
	}
	if msg.waits == 0 {
		return
	}
	if !item.ID.IsZero() {
		m.known[key] = msg
	}
	for i, channel := range item.Channels {
		if got[i] == bachata.Full {
			m.report(msg, channel, bachata.OutcomeDropped)
		}
	}
}

// lose takes the message at place i off an inbox, leaves a gap there and reports it.
func (m *model) lose(channel string, i int, o bachata.Outcome) {
	b := m.inbox(channel)
	lost := b.entries[i]
	mark := &modelEntry{kind: bachata.KindGap, cursor: lost.cursor}
	if o == bachata.OutcomeExpired {
		mark.gap.Expired = 1
	} else {
		mark.gap.Dropped = 1
	}
	b.entries[i] = mark
	lost.message.waits--
	m.report(lost.message, channel, o)
}

// report makes a receipt of what became of msg in the operation under way.
func (m *model) report(msg *modelMessage, from string, o bachata.Outcome) {
	item := msg.item
	if item.ID.IsZero() || item.Origin == "" || item.NoReceipt {
		return
	}
	r := modelEntry{
		kind: bachata.KindReceipt, from: m.since.UnixMilli(), till: m.now().UnixMilli(),
		text: describe(bachata.Envelope{Kind: bachata.KindReceipt, ID: item.ID, From: from, Dest: item.Dest, Outcome: o}),
	}
	msg.receipts = append(msg.receipts, r)
	m.receipt(item.Origin, r)
}

// receipt puts a receipt into an inbox, where the oldest go past the bound.
func (m *model) receipt(channel string, r modelEntry) {
	b := m.inbox(channel)
	r.put = m.now()
	b.entries = append(b.entries, &r)
	for {
		var all []*modelEntry
		for _, e := range b.entries {
			if e.kind == bachata.KindReceipt {
				all = append(all, e)
			}
		}
		if len(all) <= m.o.Receipts {
			return
		}
		all[0].evict()
	}
}

// evict leaves a gap where a receipt was.
func (e *modelEntry) evict() {
	*e = modelEntry{kind: bachata.KindGap, cursor: e.cursor, gap: bachata.Gap{Receipts: 1}}
}

// expire applies that time has gone on.
func (m *model) expire() {
	var channels []string
	for channel := range m.inboxes {
		channels = append(channels, channel)
	}
	for _, channel := range channels {
		for i, e := range m.inboxes[channel].entries {
			age := m.now().Sub(e.put)
			switch {
			case e.kind == bachata.KindMessage && age > m.o.InboxAge:
				m.lose(channel, i, bachata.OutcomeExpired)
			case e.kind == bachata.KindReceipt && age > m.o.ReceiptAge:
				e.evict()
			}
		}
	}
}

// find returns the place of what key names, -1 if there is nothing. Gaps are found by where the queue says they are.
func (b *modelInbox) find(key bachata.Key) int {
	if key.Cursor == 0 && key.ID == "" {
		return -1
	}
	return slices.IndexFunc(b.entries, func(e *modelEntry) bool {
		if key.Cursor != 0 {
			return e.cursor == key.Cursor && e.kind != bachata.KindGap
		}
		return e.kind == bachata.KindMessage && e.message.item.ID.Text == key.ID &&
			cmp.Or(key.From, e.message.item.From) == e.message.item.From &&
			cmp.Or(key.Dest, e.message.item.Dest) == e.message.item.Dest
	})
}

// pop applies one key of PopDelivered and returns what the queue has to answer.
func (m *model) pop(channel, by string, key bachata.Key) bachata.Popped {
	b := m.inbox(channel)
	i := b.find(key)
	if i < 0 {
		return bachata.Popped{}
	}
	e := b.entries[i]
	m.take(channel, by, e)
	return bachata.Popped{Found: true, Cursor: e.cursor}
}

// take takes e off its inbox; a message makes its receipt.
func (m *model) take(channel, by string, e *modelEntry) {
	b := m.inbox(channel)
	b.entries = slices.DeleteFunc(b.entries, func(other *modelEntry) bool { return other == e })
	if e.kind == bachata.KindMessage {
		e.message.waits--
		m.report(e.message, by, bachata.OutcomeDelivered)
	}
}

// reopened forgets what belonged to the readers of the queue that was open before.
func (m *model) reopened() {
	for _, b := range m.inboxes {
		for _, e := range b.entries {
			e.cursor = 0
		}
		b.largest = 0
		clear(b.history)
	}
}
