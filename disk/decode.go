package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
)

// errRecord is what a record that breaks the format is refused with. Its checksum was good, so another program, or
// a mistake in this one, wrote it.
var errRecord = errors.New("disk: record is malformed")

// decoder reads records. What decode returns is valid until the next call, and refers to the record's bytes.
type decoder struct {
	ops     []inbox.Op
	message inbox.Message
	targets []inbox.Target
	known   []inbox.Known

	rec []byte // what is left
	bad bool
}

// decode returns the changes of the commit that rec holds. The keys of messages are not set.
func (d *decoder) decode(rec []byte) ([]inbox.Op, error) {
	size := len(rec)
	d.rec, d.bad = rec, false
	d.ops = d.ops[:0]
	knowns, puts := d.known[:0], 0
	var last inbox.Op
	for len(d.rec) > 0 {
		at := size - len(d.rec)
		op := inbox.Op{Kind: inbox.OpKind(d.byte())}
		switch op.Kind {
		case inbox.OpPut:
			puts++
			op.Put = d.put()
			if puts > 1 {
				d.bad = true
			}
		case inbox.OpRemove:
			last = d.remove(last)
			op = last
		case inbox.OpGap:
			op.Channel, op.Seq = d.string(), d.seq()
			op.Gap = bachata.Gap{Dropped: d.count(), Expired: d.count(), Receipts: d.count()}
		case inbox.OpReceipt:
			op.ID.Number = d.flags(flagNumber) != 0
			op.Cause = d.cause(inbox.Dropped)
			op.Channel, op.Seq, op.Time, op.Entered = d.string(), d.seq(), d.time(), d.time()
			op.ID.Text, op.Dest, op.By = d.string(), d.string(), d.string()
		case inbox.OpKnown:
			knowns = append(knowns, d.remembered())
		default:
			d.bad = true
		}
		if d.bad {
			return nil, fmt.Errorf("%w at byte %d of %d", errRecord, at, size)
		}
		d.ops = append(d.ops, op)
	}
	d.known = knowns
	for i, n := 0, 0; i < len(d.ops); i++ { // only now does the list not move any more
		if d.ops[i].Kind == inbox.OpKnown {
			d.ops[i].Known = &d.known[n]
			n++
		}
	}
	return d.ops, nil
}

// forget lets go of the record.
func (d *decoder) forget() {
	clear(d.ops)
	clear(d.targets)
	d.message, d.rec = inbox.Message{}, nil
}

func (d *decoder) put() *inbox.Message {
	flags := d.flags(flagNumber | flagNoReceipt | flagCopy)
	d.message = inbox.Message{NoReceipt: flags&flagNoReceipt != 0, Copy: flags&flagCopy != 0}
	m := &d.message
	m.Time = d.time()
	m.ID = bachata.ID{Text: d.string(), Number: flags&flagNumber != 0}
	m.Origin, m.From, m.Dest = d.string(), d.string(), d.string()
	d.targets = d.targets[:0]
	for range d.length() {
		v := d.uvarint()
		t := inbox.Target{Seq: v >> 1, Full: v&1 != 0, Channel: d.string()}
		if t.Seq == 0 {
			d.bad = true
		}
		if d.bad {
			return nil
		}
		d.targets = append(d.targets, t)
	}
	m.Targets = d.targets
	m.Payload = d.take(d.length())
	m.Size = len(m.Payload)
	return m
}

func (d *decoder) remove(last inbox.Op) inbox.Op {
	op := last
	if d.flags(flagSame) == 0 {
		op = inbox.Op{Kind: inbox.OpRemove, Cause: d.cause(inbox.Taken), Channel: d.string(), By: d.string(), Time: d.time()}
	} else if last.Kind != inbox.OpRemove {
		d.bad = true
	}
	op.Seq = d.seq()
	op.Receipt = d.uvarint()
	return op
}

func (d *decoder) remembered() inbox.Known {
	k := inbox.Known{}
	copy(k.Key[:], d.take(len(k.Key)))
	k.Origin, k.Accepted = d.string(), d.time()
	for range d.length() {
		t := inbox.Told{Cause: d.cause(inbox.Dropped), Time: d.time(), From: d.string()}
		if d.bad {
			break
		}
		k.Told = append(k.Told, t)
	}
	return k
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) flags(known byte) byte {
	b := d.byte()
	if b&^known != 0 {
		d.bad = true
	}
	return b
}

func (d *decoder) cause(most inbox.Cause) inbox.Cause {
	c := inbox.Cause(d.byte())
	if c > most {
		d.bad = true
	}
	return c
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rec)
	if n <= 0 {
		d.bad, d.rec = true, nil
		return 0
	}
	d.rec = d.rec[n:]
	return v
}

func (d *decoder) seq() uint64 {
	v := d.uvarint()
	if v == 0 || v > math.MaxInt64 {
		d.bad = true
	}
	return v
}

// time is in milliseconds, in 44 bits: to the year 2527.
func (d *decoder) time() int64 {
	v := d.uvarint()
	if v >= 1<<44 {
		d.bad = true
	}
	return int64(v)
}

func (d *decoder) count() int {
	v := d.uvarint()
	if v > math.MaxInt32 {
		d.bad = true
	}
	return int(v)
}

// length is a number of bytes or things that follow: no more than there are bytes left.
func (d *decoder) length() int {
	v := d.uvarint()
	if v > uint64(len(d.rec)) {
		d.bad = true
		return 0
	}
	return int(v)
}

func (d *decoder) take(n int) []byte {
	if d.bad || n > len(d.rec) {
		d.bad, d.rec = true, nil
		return nil
	}
	b := d.rec[:n:n]
	d.rec = d.rec[n:]
	return b
}

// string refers to the record's bytes, which are not changed as long as what was decoded is in use.
func (d *decoder) string() string {
	b := d.take(d.length())
	return unsafe.String(unsafe.SliceData(b), len(b))
}
