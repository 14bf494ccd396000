package inbox

import "github.com/bachata-go/bachata"

// Found is an entry as Fetch found it.
type Found[R comparable] struct {
	Seq  uint64
	Kind bachata.Kind
	Ref  R
	Size int // of a message: bytes of its payload

	Cause   Cause  // of a receipt
	From    string // of a receipt: who confirmed
	Time    int64  // of a receipt, ms
	Entered int64  // of a receipt: when it entered the inbox, ms

	Gap bachata.Gap

	Last bool // nothing follows it
}

// Fetch adds to found what the inbox of channel holds after the cursor, up to the number visible and within limit.
func (b *Book[R]) Fetch(found []Found[R], channel string, after bachata.Cursor, limit bachata.Limit, visible uint64) []Found[R] {
	x := b.find(channel)
	if x == nil {
		return found
	}
	if b.limits.Simple {
		after = 0
	}
	es := x.entries()
	bytes := 0
	first := len(found)
	for i := x.after(uint64(after)); i < len(es); i++ {
		e := &es[i]
		taken := len(found) - first
		if e.seq > visible || limit.Messages > 0 && taken >= limit.Messages {
			break
		}
		f := b.found(x, e)
		if limit.Bytes > 0 && taken > 0 && bytes+f.Size > limit.Bytes {
			break
		}
		bytes += f.Size
		if f.Kind == bachata.KindGap {
			e.meta |= flagSeen
		}
		f.Last = i == len(es)-1
		found = append(found, f)
	}
	return found
}

func (b *Book[R]) found(x *box[R], e *entry[R]) Found[R] {
	f := Found[R]{Seq: e.seq, Kind: e.meta.kind(), Ref: e.ref}
	switch f.Kind {
	case bachata.KindMessage:
		f.Size = int(e.size)
	case bachata.KindReceipt:
		f.Cause, f.From, f.Time = e.meta.cause(), b.names.text(e.slot), e.meta.time()
		f.Entered = int64(e.id)
	default:
		f.Gap = x.gap(e.seq)
	}
	return f
}

// envelope sets e to what f says by itself: all of a gap, all but ID and Dest of a receipt, the cursor of a message.
func (f *Found[R]) envelope(e *bachata.Envelope) {
	*e = bachata.Envelope{Cursor: bachata.Cursor(f.Seq), Kind: f.Kind, Last: f.Last}
	switch f.Kind {
	case bachata.KindReceipt:
		e.From, e.Time, e.Outcome = f.From, f.Time, bachata.Outcome(f.Cause)
	case bachata.KindGap:
		e.Gap = f.Gap
	}
}
