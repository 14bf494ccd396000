package inbox

import "github.com/bachata-go/bachata"

// Apply carries ops out. ref is where the commit that holds them lives. Ops about entries that are no longer there
// are passed over: when a log is replayed, their messages may be gone.
func (b *Book[R]) Apply(ops []Op, ref R, segment uint32) {
	same := 0 // how many removals in a row, up to i, make receipts for one inbox
	for i := range ops {
		op := &ops[i]
		switch op.Kind {
		case OpPut:
			b.applyPut(op.Put, ref, segment)
		case OpRemove:
			first := 0
			if same > 0 {
				same--
			} else if b.store.Notice != nil {
				first = sameOrigin(ops[i:])
				same = first - 1
			}
			b.applyRemove(op, first)
			if len(op.More) > 0 {
				b.applyTaken(op.Channel, op.More)
			}
		case OpGap:
			b.applyGap(op, ref)
		case OpReceipt:
			b.applyReceipt(op, ref)
		case OpKnown:
			b.applyKnown(op.Known, segment)
		}
	}
}

// sameOrigin returns how many of ops, from the first on, are removals that make a receipt for the same inbox; 1 at least.
func sameOrigin(ops []Op) int {
	n := 1
	for n < len(ops) && ops[n].Kind == OpRemove && ops[n].Receipt != 0 && ops[n].Origin == ops[0].Origin {
		n++
	}
	return n
}

func (b *Book[R]) applyPut(m *Message, ref R, segment uint32) {
	var slot uint32
	if !b.limits.Simple && !m.ID.IsZero() {
		slot = b.known.accept(&m.Key, m.Origin, m.Time, m.Copy, m.unknown)
		s := b.known.slots.at(slot)
		if !m.Copy || s.home == 0 {
			s.home = segment
		}
	}
	stored := 0
	for i := range m.Targets {
		if !m.Targets[i].Full {
			stored++
		}
	}
	for i := range m.Targets {
		t := &m.Targets[i]
		if t.Full {
			b.receipt(b.box(m.Origin), t.Seq, Told{t.Channel, m.Time, Dropped}, m.Time, ref, 1)
			if slot != 0 {
				b.known.tell(slot, Told{t.Channel, m.Time, Dropped})
			}
			continue
		}
		x := b.box(t.Channel)
		t.Prev = x.last
		if e := x.find(t.Seq); e != nil {
			b.move(e, ref, stored)
			continue
		}
		e := x.place(t.Seq)
		e.meta = newMeta(bachata.KindMessage, 0, m.Time).withFan(stored)
		e.id = b.hash.ID(m.ID.Text)
		e.ref = ref
		e.size = uint32(m.Size)
		e.slot = slot
		e.narrow = b.hash.narrow(m.From, m.Dest)
		if m.NoReceipt || m.Origin == "" {
			e.meta |= flagNoReceipt
		}
		if slot != 0 {
			b.known.hold(slot)
		}
		b.entered(x, e)
	}
}

// receipt puts a receipt about the message at ref into x, one of n as Store.Notice counts them.
func (b *Book[R]) receipt(x *box[R], seq uint64, t Told, entered int64, ref R, n int) *entry[R] {
	ref = b.notice(ref, n)
	e := x.find(seq)
	if e != nil {
		e.ref = ref
		return e
	}
	e = x.place(seq)
	e.meta = newMeta(bachata.KindReceipt, t.Cause, t.Time)
	e.id = uint64(entered)
	e.ref = ref
	e.slot = b.names.hold(t.From)
	b.entered(x, e)
	return e
}

func (b *Book[R]) applyRemove(op *Op, n int) {
	b.seq = max(b.seq, op.Seq, op.Receipt)
	x := b.find(op.Channel)
	if x == nil {
		return
	}
	i := x.index(op.Seq)
	if i < 0 {
		return
	}
	e := &x.entries()[i]
	tell := e.meta.kind() == bachata.KindMessage && e.slot != 0 && op.Cause != Taken && !e.meta.has(flagNoReceipt)
	origin := uint32(0)
	if tell {
		origin = b.known.slots.at(e.slot).origin
		b.known.tell(e.slot, Told{op.By, op.Time, op.Cause})
	}
	if origin != 0 && op.Receipt != 0 {
		told := b.box(b.names.text(origin))
		op.prev = told.last
		r := b.receipt(told, op.Receipt, Told{op.By, op.Time, op.Cause}, op.Time, e.ref, n)
		if b.heard && b.store.Say != nil {
			op.ID, op.Dest, op.said = b.store.Say(r.ref)
		}
		if told == x { // nothing is where it was
			i = x.index(op.Seq)
		}
	}
	b.remove(x, i)
}

// applyTaken has entries leave the inbox of channel of which nobody is told.
func (b *Book[R]) applyTaken(channel string, seqs []uint64) {
	x := b.find(channel)
	for _, seq := range seqs {
		if x == nil {
			return
		}
		if i := x.index(seq); i >= 0 {
			b.remove(x, i)
		}
	}
}

func (b *Book[R]) applyGap(op *Op, ref R) {
	if b.limits.Simple { // from a log that was written in reliable mode
		b.seq = max(b.seq, op.Seq)
		return
	}
	x := b.box(op.Channel)
	if e := x.find(op.Seq); e != nil {
		e.ref = ref
	} else {
		e := x.place(op.Seq)
		e.meta, e.ref = newMeta(bachata.KindGap, 0, op.Time), ref
		b.entered(x, e)
	}
	x.setGap(op.Seq, op.Gap)
}

func (b *Book[R]) applyReceipt(op *Op, ref R) {
	b.receipt(b.box(op.Channel), op.Seq, Told{op.By, op.Time, op.Cause}, op.Entered, ref, 1)
}

func (b *Book[R]) applyKnown(kn *Known, segment uint32) {
	if b.limits.Simple {
		return
	}
	i := b.known.accept(&kn.Key, kn.Origin, kn.Accepted, true, false)
	s := b.known.slots.at(i)
	s.home = segment
	rests := s.rests()
	if rests {
		b.known.wake(s)
	}
	b.known.forgetTold(s)
	if rests {
		b.known.rest(s)
	}
	for _, t := range kn.Told {
		b.known.tell(i, t)
	}
}

// move gives e another reference, which fan entries share.
func (b *Book[R]) move(e *entry[R], ref R, fan int) {
	b.live -= b.weight(e)
	e.ref = ref
	if e.meta.kind() == bachata.KindMessage {
		e.meta = (e.meta &^ fanMask).withFan(fan)
	}
	b.live += b.weight(e)
}

// Age forgets what the dedupe window no longer covers, a bounded piece at a time, and reports whether there is more.
func (b *Book[R]) Age(now int64, steps int) bool {
	return !b.limits.Simple && b.known.age(now, steps)
}
