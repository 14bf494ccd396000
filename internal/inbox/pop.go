package inbox

import "github.com/bachata-go/bachata"

// DecidePop decides what keys take off the inbox of channel, up to the number visible, and sets popped, which has the
// length of keys. Partial keys must have their cursor. If the changes are not applied after all, Unmark must be called.
func (b *Book[R]) DecidePop(channel, by string, keys []bachata.Key, now int64, visible uint64, ops *Ops, popped []bachata.Popped) {
	x := b.find(channel)
	if x == nil || b.limits.Simple {
		return
	}
	for i, key := range keys {
		e := b.pick(x, key, visible)
		if e == nil {
			continue
		}
		e.meta |= flagMarked
		popped[i] = bachata.Popped{Found: true, Cursor: bachata.Cursor(e.seq)}
		if e.meta.kind() != bachata.KindMessage {
			ops.taken(channel, by, e.seq, now)
			continue
		}
		op := ops.more()
		op.Kind, op.Channel, op.Seq, op.Cause, op.By, op.Time = OpRemove, channel, e.seq, Delivered, by, now
		if b.tells(e) {
			op.Receipt, op.Origin = ops.number(b.seq), b.origin(e)
		}
	}
}

// Unmark takes back what DecidePop noted and found.
func (b *Book[R]) Unmark(channel string, popped []bachata.Popped) {
	x := b.find(channel)
	for i := range popped {
		if popped[i].Found {
			x.find(uint64(popped[i].Cursor)).meta &^= flagMarked
		}
		popped[i] = bachata.Popped{}
	}
}

// Waits reports whether a message that key names is in the inbox of channel. A partial key must have its cursor.
func (b *Book[R]) Waits(channel string, key bachata.Key) bool {
	x := b.find(channel)
	if x == nil || b.limits.Simple {
		return false
	}
	e := b.pick(x, key, ^uint64(0))
	return e != nil && e.meta.kind() == bachata.KindMessage
}

// Partial reports whether key names From or Dest and no cursor: what the messages themselves say decides then.
func Partial(key bachata.Key) bool { return key.Cursor == 0 && (key.From != "" || key.Dest != "") }

// Seek returns the first message behind the number after, up to visible, that a partial key may mean. Its From and
// Dest agree by short hashes only: the message must be looked at.
func (b *Book[R]) Seek(channel string, key bachata.Key, after, visible uint64) (f Found[R], ok bool) {
	x := b.find(channel)
	if x == nil || b.limits.Simple {
		return f, false
	}
	id := b.hash.ID(key.ID)
	narrow, mask := b.filter(key)
	for seq := x.next(id, after); seq != 0; seq = x.next(id, seq) {
		e := x.find(seq)
		if e.narrow&mask != narrow {
			continue
		}
		return b.found(x, e), seq <= visible
	}
	return f, false
}

// pick returns the entry that key means, or nil.
func (b *Book[R]) pick(x *box[R], key bachata.Key, visible uint64) *entry[R] {
	if key.Cursor != 0 {
		e := x.find(uint64(key.Cursor))
		if e == nil || e.seq > visible || e.meta.has(flagMarked) {
			return nil
		}
		return e
	}
	id := b.hash.ID(key.ID)
	for seq := x.next(id, 0); seq != 0 && seq <= visible; seq = x.next(id, seq) {
		if e := x.find(seq); !e.meta.has(flagMarked) {
			return e
		}
	}
	return nil
}

func (b *Book[R]) filter(key bachata.Key) (narrow, mask uint32) {
	if key.From != "" {
		mask |= 0xffff << 16
	}
	if key.Dest != "" {
		mask |= 0xffff
	}
	return b.hash.narrow(key.From, key.Dest) & mask, mask
}

// Free reports whether the inbox of channel is empty, and takes a message of that size.
func (b *Book[R]) Free(channel string, size int) bool {
	x := b.boxes[channel]
	return (x == nil || x.len() == 0) && int64(size) <= b.limits.Bytes
}

// DecideTake decides that the entries that a simple queue read leave the inbox of channel. It returns those that were
// still there: a competing reader may have taken others.
func (b *Book[R]) DecideTake(channel string, found []Found[R], ops *Ops) []Found[R] {
	x := b.find(channel)
	if x == nil {
		return nil
	}
	left := found[:0]
	for _, f := range found {
		if x.index(f.Seq) < 0 {
			continue
		}
		ops.add(Op{Kind: OpRemove, Channel: channel, Seq: f.Seq, Cause: Taken})
		left = append(left, f)
	}
	return left
}
