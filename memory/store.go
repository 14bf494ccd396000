package memory

import (
	"context"
	"math"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
)

// stored is a message, shared by the inboxes that it is in, or what a receipt says of one. It is never changed.
type stored struct {
	id         bachata.ID
	from, dest string
	payload    []byte
}

// notice keeps of a message what a receipt about it says. The texts are copied: they may be parts of the payload,
// which a receipt must not keep alive.
func notice(m *stored) *stored {
	if m.payload == nil {
		return m
	}
	id, dest := inbox.Copy(m.id.Text, m.dest)
	return &stored{id: bachata.ID{Text: id, Number: m.id.Number}, dest: dest}
}

// store is the inbox.Backend in which everything is safe at once.
type store struct{}

func (store) Write(ops []inbox.Op, urgent bool) (inbox.Place[*stored], error) {
	p := inbox.Place[*stored]{Ticket: 1}
	for i := range ops {
		switch op := &ops[i]; op.Kind {
		case inbox.OpPut:
			m := op.Put
			p.Ref = &stored{id: m.ID, from: m.From, dest: m.Dest, payload: m.Payload}
			return p, nil
		case inbox.OpReceipt: // all in one commit are about the same message
			if p.Ref == nil {
				p.Ref = &stored{id: op.ID, dest: op.Dest}
			}
		}
	}
	return p, nil
}

func (store) Flush() {}

func (store) Ready(int) bool { return true }

func (store) Room(context.Context, int) error { return nil }

func (store) Wait(context.Context, uint64) error { return nil }

func (store) Synced() uint64 { return math.MaxUint64 }

func (store) Read(f *inbox.Found[*stored], e *bachata.Envelope) error {
	e.ID, e.Dest = f.Ref.id, f.Ref.dest
	if f.Kind == bachata.KindMessage {
		e.From, e.Payload = f.Ref.from, f.Ref.payload
	}
	return nil
}

func (store) Hold() func() { return nothing }

func (store) Err() error { return nil }

func nothing() {}
