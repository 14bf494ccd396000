package memory

import (
	"context"
	"math"
	"strings"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
)

// stored is a message, shared by the inboxes that it is in, or what a receipt says of one. It is changed and read only
// under the engine's lock, and used again for another once it has left the last inbox.
type stored struct {
	id         string
	from, dest string
	payload    []byte
	inboxes    int32   // in which it is; of what receipts say, one more for a message that has said
	number     bool    // the id is one
	notice     bool    // it is what a receipt says
	said       *stored // of a message in several inboxes: what the receipts about it say, once there is one
}

// mostFree is how many places for messages and receipts wait to be used again: 1.3 MB, enough for what 60 senders have read
// and not proven.
const mostFree = 1 << 14

// store is the inbox.Backend in which everything is safe at once.
type store struct {
	free  []*stored
	texts strings.Builder // of the receipts that are made for one inbox now
	dest  string          // of the last of them
}

func (s *store) alloc() *stored {
	n := len(s.free) - 1
	if n < 0 {
		return new(stored)
	}
	m := s.free[n]
	s.free[n] = nil
	s.free = s.free[:n]
	return m
}

// drop takes an inbox back in which m is.
func (s *store) drop(m *stored) {
	if m.inboxes--; m.inboxes == 0 {
		if m.said != nil {
			s.drop(m.said)
		}
		*m = stored{}
		if len(s.free) < mostFree {
			s.free = append(s.free, m)
		}
	}
}

// notice keeps of a message what a receipt about it says. The texts are copied: they may be parts of the payload,
// which a receipt must not keep alive. Those for one inbox, which leave it together, share memory, and those about one
// message are one.
func (s *store) notice(m *stored, n int) *stored {
	switch {
	case m.notice:
		return m
	case n > 0:
		s.texts = strings.Builder{}
		s.dest = ""
	}
	if m.said != nil {
		m.said.inboxes++
		return m.said
	}
	if n > 0 {
		s.texts.Grow(n*len(m.id) + len(m.dest))
	}
	r := s.alloc()
	if s.dest != m.dest {
		s.dest = s.copy(m.dest)
	}
	*r = stored{id: s.copy(m.id), dest: s.dest, number: m.number, inboxes: 1, notice: true}
	if m.inboxes > 1 { // others will say the same of it
		m.said = r
		r.inboxes++
	}
	return r
}

func (s *store) copy(text string) string {
	if s.texts.Cap()-s.texts.Len() < len(text) {
		s.texts = strings.Builder{}
		s.texts.Grow(len(text))
	}
	from := s.texts.Len()
	s.texts.WriteString(text)
	return s.texts.String()[from:]
}

// say returns what a receipt says.
func say(m *stored) (id bachata.ID, dest string, ok bool) {
	return bachata.ID{Text: m.id, Number: m.number}, m.dest, true
}

// Write keeps the message of a commit, or what its receipts say: all in one commit are about the same message.
func (s *store) Write(ops []inbox.Op, urgent bool) (inbox.Place[*stored], error) {
	p := inbox.Place[*stored]{Ticket: 1}
	for i := range ops {
		switch op := &ops[i]; op.Kind {
		case inbox.OpPut:
			m := op.Put
			p.Ref = s.alloc()
			*p.Ref = stored{id: m.ID.Text, number: m.ID.Number, from: m.From, dest: m.Dest, payload: m.Payload}
			for j := range m.Targets {
				if !m.Targets[j].Full {
					p.Ref.inboxes++
				}
			}
			return p, nil
		case inbox.OpReceipt:
			if p.Ref == nil {
				p.Ref = s.alloc()
				id, dest := inbox.Copy(op.ID.Text, op.Dest)
				*p.Ref = stored{id: id, number: op.ID.Number, dest: dest, notice: true}
			}
			p.Ref.inboxes++
		}
	}
	return p, nil
}

func (*store) Flush() {}

func (*store) Ready(int) bool { return true }

func (*store) Room(context.Context, int) error { return nil }

func (*store) Wait(context.Context, uint64) error { return nil }

func (*store) Lead(uint64) {}

func (*store) Synced() uint64 { return math.MaxUint64 }

func (*store) Read(f *inbox.Found[*stored], e *bachata.Envelope) error {
	e.ID, e.Dest, _ = say(f.Ref)
	if f.Kind == bachata.KindMessage {
		e.From, e.Payload = f.Ref.from, f.Ref.payload
	}
	return nil
}

func (*store) Hold() func() { return nothing }

func (*store) Err() error { return nil }

func nothing() {}
