package disk

import (
	"encoding/binary"

	"github.com/bachata-go/bachata/internal/inbox"
)

// The format of a record, as FORMAT.md has it.
const (
	flagNumber    = 1 << 0 // of a put or receipt: the id is a number
	flagNoReceipt = 1 << 1 // of a put
	flagCopy      = 1 << 2 // of a put
	flagSame      = 1 << 0 // of a removal: as the one before it in the record
)

// appendOps appends the changes of one commit to b.
func appendOps(b []byte, ops []inbox.Op) []byte {
	var last *inbox.Op // the last removal
	for i := range ops {
		op := &ops[i]
		b = append(b, byte(op.Kind))
		switch op.Kind {
		case inbox.OpPut:
			b = appendPut(b, op.Put)
		case inbox.OpRemove:
			if last != nil && last.Channel == op.Channel && last.Cause == op.Cause && last.By == op.By && last.Time == op.Time {
				b = append(b, flagSame)
			} else {
				b = append(b, 0, byte(op.Cause))
				b = appendString(b, op.Channel)
				b = appendString(b, op.By)
				b = binary.AppendUvarint(b, uint64(op.Time))
			}
			last = op
			b = binary.AppendUvarint(b, op.Seq)
			b = binary.AppendUvarint(b, op.Receipt)
			for _, seq := range op.More {
				b = append(b, byte(inbox.OpRemove), flagSame)
				b = binary.AppendUvarint(b, seq)
				b = append(b, 0)
			}
		case inbox.OpGap:
			b = appendString(b, op.Channel)
			b = binary.AppendUvarint(b, op.Seq)
			b = binary.AppendUvarint(b, uint64(op.Gap.Dropped))
			b = binary.AppendUvarint(b, uint64(op.Gap.Expired))
			b = binary.AppendUvarint(b, uint64(op.Gap.Receipts))
		case inbox.OpReceipt:
			b = append(b, numberFlag(op.ID.Number), byte(op.Cause))
			b = appendString(b, op.Channel)
			b = binary.AppendUvarint(b, op.Seq)
			b = binary.AppendUvarint(b, uint64(op.Time))
			b = binary.AppendUvarint(b, uint64(op.Entered))
			b = appendString(b, op.ID.Text)
			b = appendString(b, op.Dest)
			b = appendString(b, op.By)
		case inbox.OpKnown:
			b = appendKnown(b, op.Known)
		}
	}
	return b
}

func appendPut(b []byte, m *inbox.Message) []byte {
	flags := numberFlag(m.ID.Number)
	if m.NoReceipt {
		flags |= flagNoReceipt
	}
	if m.Copy {
		flags |= flagCopy
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(m.Time))
	b = appendString(b, m.ID.Text)
	b = appendString(b, m.Origin)
	b = appendString(b, m.From)
	b = appendString(b, m.Dest)
	b = binary.AppendUvarint(b, uint64(len(m.Targets)))
	for i := range m.Targets {
		t := &m.Targets[i]
		full := uint64(0)
		if t.Full {
			full = 1
		}
		b = binary.AppendUvarint(b, t.Seq<<1|full)
		b = appendString(b, t.Channel)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Payload)))
	return append(b, m.Payload...)
}

func appendKnown(b []byte, k *inbox.Known) []byte {
	b = append(b, k.Key[:]...)
	b = appendString(b, k.Origin)
	b = binary.AppendUvarint(b, uint64(k.Accepted))
	b = binary.AppendUvarint(b, uint64(len(k.Told)))
	for _, t := range k.Told {
		b = append(b, byte(t.Cause))
		b = binary.AppendUvarint(b, uint64(t.Time))
		b = appendString(b, t.From)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func numberFlag(number bool) byte {
	if number {
		return flagNumber
	}
	return 0
}
