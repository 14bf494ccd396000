package disk

import (
	"context"
	"errors"
	"slices"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
	"github.com/bachata-go/bachata/internal/seglog"
)

// inboxesAtOnce and idsAtOnce are how many are looked at before the lock is let go.
const (
	inboxesAtOnce = 32
	idsAtOnce     = 2048
)

// forwarder writes what is needed of one segment to the end of the log.
type forwarder struct {
	q       *Queue
	segment uint32
	needed  []inbox.Needed[ref]
	urgent  bool // may use the room that is kept for pops: three quarters of it at most, to give a full disk a segment back
	decoder decoder
	ops     inbox.Ops
	moves   []move
	ticket  uint64
}

// move is an entry with the place of its copy.
type move struct {
	inbox.Needed[ref]
	to  ref
	fan int
}

// find lists the entries whose records are in the segment, by their place.
func (f *forwarder) find() {
	f.needed = f.needed[:0]
	var channels []string
	f.q.engine.With(func(b *inbox.Book[ref]) { channels = b.Channels() })
	in := func(r ref) bool { return r.segment == f.segment }
	for part := range slices.Chunk(channels, inboxesAtOnce) {
		f.q.engine.With(func(b *inbox.Book[ref]) {
			for _, channel := range part {
				f.needed = b.Needed(f.needed, channel, in)
			}
		})
	}
	slices.SortFunc(f.needed, func(a, b inbox.Needed[ref]) int { return int(int64(a.Ref.offset) - int64(b.Ref.offset)) })
}

// cost estimates how many bytes it takes to state anew what is needed of the segment.
func (f *forwarder) cost() (bytes int64) {
	last := ref{}
	for i := range f.needed {
		switch n := &f.needed[i]; {
		case n.Kind != bachata.KindMessage:
			bytes += n.Bytes
		case n.Ref != last:
			bytes += int64(n.Ref.size) + recordOverhead
			last = n.Ref
		}
	}
	for at := uint32(1); at != 0; {
		f.q.engine.With(func(b *inbox.Book[ref]) {
			var size int64
			size, at = b.CountRemembered(f.segment, at, idsAtOnce)
			bytes += size
		})
	}
	return bytes
}

// recordLimit is how many bytes a record holds that is made when a segment is given back.
func (q *Queue) recordLimit() int64 { return min(int64(q.store.log.MaxRecord()), 256<<10) }

// room returns how many bytes can be written to the segment that is being filled.
func (q *Queue) room() int64 {
	segments := q.store.log.Segments()
	return q.segmentBytes - segments[len(segments)-1].Bytes
}

// entries copies what find has found, and moves the references once the copies are safe.
func (f *forwarder) entries() error {
	f.moves = f.moves[:0]
	for start := 0; start < len(f.needed); {
		if f.stopped() {
			return errStopped
		}
		end := start + 1
		for end < len(f.needed) && f.needed[end].Ref == f.needed[start].Ref {
			end++
		}
		if err := f.record(f.needed[start:end]); err != nil {
			return err
		}
		start = end
	}
	if err := f.q.store.Wait(context.Background(), f.ticket); err != nil {
		return err
	}
	for part := range slices.Chunk(f.moves, 256) {
		f.q.engine.With(func(b *inbox.Book[ref]) {
			for _, m := range part {
				b.Move(m.Needed, m.to, m.fan)
			}
		})
	}
	return nil
}

func (f *forwarder) stopped() bool {
	select {
	case <-f.q.stop:
		return true
	default:
		return false
	}
}

// record copies what the entries of group, which share a record, need of it.
func (f *forwarder) record(group []inbox.Needed[ref]) error {
	r := group[0].Ref
	rec, err := f.q.store.log.Read(r.pos(), int(r.size), nil)
	if err != nil {
		return err
	}
	ops, err := f.decoder.decode(rec)
	if err != nil {
		return f.q.store.malformed(r, err)
	}
	wait := f.q.engine.WithRoom(context.Background(), int(r.size), func(b *inbox.Book[ref]) {
		if err = f.message(b, group, ops); err == nil {
			err = f.notices(b, group, ops)
		}
	})
	return errors.Join(wait, err)
}

// message states the message of a record anew, for the inboxes in which it is still pending.
func (f *forwarder) message(b *inbox.Book[ref], group []inbox.Needed[ref], ops []inbox.Op) error {
	i := slices.IndexFunc(ops, func(op inbox.Op) bool { return op.Kind == inbox.OpPut })
	if i < 0 {
		return nil
	}
	m := *ops[i].Put
	m.Copy, m.Targets = true, nil
	first := len(f.moves)
	for _, n := range group {
		if found, ok := b.Look(n); ok && found.Kind == bachata.KindMessage {
			m.Targets = append(m.Targets, inbox.Target{Channel: n.Channel, Seq: n.Seq})
			f.moves = append(f.moves, move{Needed: n})
		}
	}
	if len(m.Targets) == 0 {
		return nil
	}
	p, err := f.write([]inbox.Op{{Kind: inbox.OpPut, Put: &m}})
	for j := first; j < len(f.moves); j++ {
		f.moves[j].to, f.moves[j].fan = p.Ref, len(m.Targets)
		if err == nil {
			b.Restated(f.moves[j].Channel, f.moves[j].Seq, p.Segment)
		}
	}
	return err
}

// notices states the receipts and gaps of a record anew.
func (f *forwarder) notices(b *inbox.Book[ref], group []inbox.Needed[ref], ops []inbox.Op) error {
	var list []inbox.Op
	var size int64
	for _, n := range group {
		found, ok := b.Look(n)
		var op inbox.Op
		switch {
		case ok && found.Kind == bachata.KindGap:
			op = inbox.Op{Kind: inbox.OpGap, Channel: n.Channel, Seq: n.Seq, Gap: found.Gap}
		case ok && found.Kind == bachata.KindReceipt:
			if op, ok = receiptOf(ops, n, &found); !ok {
				return f.q.store.malformed(n.Ref, errRecord)
			}
		default:
			continue
		}
		// A group has a receipt of each of its members, all about one record: together they may be larger than that.
		bytes := int64(64 + len(op.Channel) + len(op.By) + len(op.ID.Text) + len(op.Dest))
		if size += bytes; size > f.q.recordLimit() && len(list) > 0 {
			if err := f.flush(list); err != nil {
				return err
			}
			list, size = list[:0], bytes
		}
		list = append(list, op)
		f.moves = append(f.moves, move{Needed: n})
	}
	return f.flush(list)
}

// flush writes receipts and gaps in one record, and notes its place for as many of the last moves.
func (f *forwarder) flush(list []inbox.Op) error {
	if len(list) == 0 {
		return nil
	}
	first := len(f.moves) - len(list)
	p, err := f.write(list)
	for j := first; j < len(f.moves); j++ {
		f.moves[j].to = p.Ref
	}
	return err
}

// receiptOf makes a receipt that carries all that it says, from the record that it refers to.
func receiptOf(ops []inbox.Op, n inbox.Needed[ref], f *inbox.Found[ref]) (inbox.Op, bool) {
	out := inbox.Op{Kind: inbox.OpReceipt, Channel: n.Channel, Seq: n.Seq, Cause: f.Cause, By: f.From, Time: f.Time, Entered: f.Entered}
	for i := range ops {
		switch op := &ops[i]; {
		case op.Kind == inbox.OpPut:
			out.ID, out.Dest = op.Put.ID, op.Put.Dest
			return out, true
		case op.Kind == inbox.OpReceipt && op.Seq == n.Seq:
			out.ID, out.Dest = op.ID, op.Dest
			return out, true
		}
	}
	return out, false
}

// write appends a commit that changes nothing but places.
func (f *forwarder) write(ops []inbox.Op) (inbox.Place[ref], error) {
	p, err := f.q.store.Write(ops, false)
	if errors.Is(err, seglog.ErrFull) && f.urgent {
		p, err = f.q.store.Write(ops, true)
	}
	if err == nil {
		f.q.store.moved += int64(p.Ref.size) + recordOverhead
		f.ticket = p.Ticket
		f.q.engine.Note(p.Ticket)
	}
	return p, err
}

// remembered states what is remembered of the ids that the segment states last.
func (f *forwarder) remembered() error {
	now := f.q.limits.Now().UnixMilli()
	var err error
	for at := uint32(1); at != 0; {
		if f.stopped() {
			return errStopped
		}
		wait := f.q.engine.WithRoom(context.Background(), int(f.q.recordLimit()), func(b *inbox.Book[ref]) {
			f.ops.Reset()
			next := b.Remembered(f.segment, now, at, idsAtOnce, f.q.recordLimit(), &f.ops)
			if f.ops.Len() > 0 {
				var p inbox.Place[ref]
				if p, err = f.write(f.ops.List); err == nil {
					b.Rehome(&f.ops, p.Segment)
				}
			}
			at = next
		})
		if err = errors.Join(wait, err); err != nil {
			return err
		}
	}
	return f.q.store.Wait(context.Background(), f.ticket)
}
