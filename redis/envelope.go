package redis

import (
	"encoding/binary"
	"errors"

	"github.com/bachata-go/bachata"
)

// errReply is what a server that does something else than its script makes of it.
var errReply = errors.New("unexpected reply")

// Flags of a message.
const (
	flagNumber    = 1
	flagNoReceipt = 2
	flagFrom      = 4  // it has a from other than its origin
	flagDest      = 8  // it has a dest other than its channel
	flagID        = 16 // it has its id, which is not that of its key
)

// flagPartly is set in the record of a message that is not known to be put everywhere, beside flagNumber.
const flagPartly = 4

const metaLen = 24 // number, flags, size, k

// encodeMeta writes what is stored of m besides text and origin, without the number that stands in front of it: flags,
// size, k and names (KEYS.md, "Message").
func encodeMeta(m *bachata.Item, k string) (flags byte, meta string) {
	b := make([]byte, 0, 64)
	if m.ID.Number {
		flags |= flagNumber
	}
	if m.NoReceipt {
		flags |= flagNoReceipt
	}
	if m.From != m.Origin || k == "" {
		flags |= flagFrom
	}
	if len(m.Channels) != 1 || m.Channels[0] != m.Dest || k == "" {
		flags |= flagDest
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Payload)))
	if k == "" {
		k = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	}
	b = append(b, k...)
	if flags&flagFrom != 0 {
		b = appendName(b, m.From)
	}
	if flags&flagDest != 0 {
		b = appendName(b, m.Dest)
	}
	return flags, string(b)
}

const numberLen = 7 // of a number

// appendNumber appends a number as scripts store it.
func appendNumber(b []byte, n uint64) []byte {
	b = binary.BigEndian.AppendUint64(b, n<<8)
	return b[:len(b)-1]
}

// appendTime appends a time (Unix ms) as scripts store it.
func appendTime(b []byte, ms int64) []byte {
	return append(b, byte(ms>>40), byte(ms>>32), byte(ms>>24), byte(ms>>16), byte(ms>>8), byte(ms))
}

func appendName(b []byte, name string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(name)))
	return append(b, name...)
}

// reader takes what scripts packed apart. Reading past the end sets bad.
type reader struct {
	text string
	bad  bool
}

func (r *reader) take(n int) string {
	if n > len(r.text) {
		r.bad = true
		r.text = ""
		return ""
	}
	s := r.text[:n]
	r.text = r.text[n:]
	return s
}

func (r *reader) number(n int) uint64 {
	var v uint64
	for _, b := range []byte(r.take(n)) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (r *reader) name() string { return r.take(int(r.number(2))) }

// names reads the rest of a message's meta, from its number on, into e.
func (r *reader) meta(e *bachata.Envelope, suffix, origin, channel string) {
	e.Cursor = bachata.Cursor(r.number(7))
	flags := byte(r.number(1))
	r.take(metaLen - 8)
	e.From, e.Dest = origin, channel
	if flags&flagFrom != 0 {
		e.From = r.name()
	}
	if flags&flagDest != 0 {
		e.Dest = r.name()
	}
	e.ID.Number = flags&flagNumber != 0
	switch {
	case flags&flagID != 0:
		e.ID.Text = r.name()
	case suffix != "":
		e.ID.Text = unescapeID(suffix[1:])
	}
}

// entry is an element, of which suffix is what follows on the key of the channel's list, and what stands at its key if it is
// that of a message.
type entry struct{ suffix, origin, meta, text string }

// decode makes an envelope of an entry of channel. It reports false if it is none, with the cursor if there seems to be one.
func (t *entry) decode(channel string) (e bachata.Envelope, ok bool) {
	suffix := t.suffix
	if len(suffix) < 2 || suffix[0] != ':' {
		return e, false
	}
	if suffix[1] != ':' || len(suffix) > 2 && suffix[2] == 'm' {
		r := reader{text: t.meta}
		r.meta(&e, suffix, t.origin, channel)
		e.Payload = []byte(t.text)
		return e, !r.bad
	}
	if len(suffix) < 10 {
		return e, false
	}
	r := reader{text: suffix[3:]}
	switch suffix[2] {
	case 't':
		r.meta(&e, "", "", "")
		e.ID = bachata.ID{}
		e.Payload = []byte(r.text)
	case 'r':
		e.Kind = bachata.KindReceipt
		e.Cursor = bachata.Cursor(r.number(7))
		e.Time = int64(r.number(6))
		outcome := byte(r.number(1))
		e.Outcome, e.ID.Number = bachata.Outcome(outcome>>1), outcome&1 != 0
		e.From, e.Dest = r.name(), r.name()
		e.ID.Text = r.text
	case 'g':
		e.Kind = bachata.KindGap
		e.Cursor = bachata.Cursor(r.number(7))
		e.Gap = bachata.Gap{Dropped: int(r.number(4)), Expired: int(r.number(4)), Receipts: int(r.number(4))}
	default:
		e.Cursor = bachata.Cursor(r.number(7))
		return e, false
	}
	return e, !r.bad
}

// splitWake takes apart what was published for a channel: the number before its new entry, and the entry. It reports false
// if there is none.
func splitWake(message string) (prev bachata.Cursor, t entry, ok bool) {
	if len(message) < 9 {
		return 0, t, false
	}
	r := reader{text: message}
	prev = bachata.Cursor(r.number(7))
	if r.text[0] != 'm' {
		return prev, entry{suffix: r.text}, true
	}
	r.take(1)
	t.suffix, t.origin, t.meta = r.name(), r.name(), r.name()
	t.text = r.text
	return prev, t, !r.bad
}
