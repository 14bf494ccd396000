package inbox

import "github.com/bachata-go/bachata"

// setMessage makes m, which is empty, what an inbox must know of item: the part of a put that needs no lock. The key is left
// out in simple mode. It may be called concurrently with anything; the Time is left to set.
func (b *Book[R]) setMessage(m *Message, keyer Keyer, item *bachata.Item) {
	m.ID, m.Origin, m.From, m.Dest = item.ID, item.Origin, item.From, item.Dest
	m.NoReceipt, m.Payload, m.Size = item.NoReceipt, item.Payload, len(item.Payload)
	m.Targets = m.one[:0]
	if !b.limits.Simple && !m.ID.IsZero() {
		m.Key = keyer.KeyOf(m.Origin, m.Dest, m.ID.Text)
	}
}

// Expect has brought into the cache, for all of messages together, what DecidePut needs for one after the other: ids are
// looked up in a table of which nearly nothing is there.
func (b *Book[R]) Expect(messages []*Message) {
	if len(messages) < 2 || b.limits.Simple {
		return
	}
	for _, m := range messages {
		b.known.touched += b.known.shard(&m.Key).touch(&m.Key)
	}
}

// DecidePut decides what becomes of m in the inboxes of channels: it adds the changes to ops and sets the status of
// each channel. What has expired in those inboxes must have been dealt with before (Due, DecideExpire).
func (b *Book[R]) DecidePut(m *Message, channels []string, now int64, ops *Ops, res bachata.PutResult) {
	deduped := !b.limits.Simple && !m.ID.IsZero()
	if deduped {
		var slot uint32
		if slot, m.unknown = b.known.lookup(&m.Key, now); slot != 0 {
			b.repeat(slot, m, now, ops)
			for i := range res {
				res[i] = bachata.Duplicate
			}
			return
		}
	}
	stored := 0
	for i, channel := range channels {
		x := b.find(channel)
		fits, lose := b.fits(x, int64(m.Size))
		if !fits {
			res[i] = bachata.Full
			continue
		}
		res[i] = bachata.Stored
		stored++
		if lose {
			b.makeRoom(x, int64(m.Size), now, ops)
		}
	}
	if stored == 0 {
		return
	}
	tell := deduped && m.Origin != "" && !m.NoReceipt
	for i, channel := range channels {
		full := res[i] == bachata.Full
		if full && !tell {
			continue
		}
		m.Targets = append(m.Targets, Target{Channel: channel, Seq: ops.number(b.seq), Full: full})
	}
	op := ops.more()
	op.Kind, op.Put = OpPut, m
}

// repeat tells the origin once more what it was told about a message before.
func (b *Book[R]) repeat(slot uint32, m *Message, now int64, ops *Ops) {
	if m.Origin == "" {
		return
	}
	for _, t := range b.known.receipts(slot) {
		ops.add(Op{
			Kind:    OpReceipt,
			Channel: m.Origin,
			Seq:     ops.number(b.seq),
			Cause:   t.Cause,
			By:      t.From,
			Time:    t.Time,
			Entered: now,
			ID:      m.ID,
			Dest:    m.Dest,
		})
	}
}

// fits reports whether size bytes get into x, and whether older messages must be lost for it.
func (b *Book[R]) fits(x *box[R], size int64) (fits, lose bool) {
	if size > b.limits.Bytes {
		return false, false
	}
	if x == nil || x.messages < b.limits.Messages && x.bytes+size <= b.limits.Bytes {
		return true, false
	}
	return b.limits.DropOldest, b.limits.DropOldest
}

// makeRoom drops the oldest messages of x until size bytes fit.
func (b *Book[R]) makeRoom(x *box[R], size, now int64, ops *Ops) {
	messages, bytes := x.messages+1, x.bytes+size
	b.lose(x, now, ops, func(e *entry[R]) (loss, bool) {
		if e.meta.kind() != bachata.KindMessage {
			return keep, true
		}
		messages--
		bytes -= int64(e.size)
		return drop, messages > b.limits.Messages || bytes > b.limits.Bytes
	})
}
