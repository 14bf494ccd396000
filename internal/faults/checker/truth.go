package checker

import (
	"slices"

	"github.com/bachata-go/bachata/internal/faults/history"
)

// checkTruth judges I2: what came was sent, by whom it says, to whom it says, with what it holds.
func (r *run) checkTruth() {
	for _, c := range r.clients {
		for _, e := range c.Events {
			switch e.Kind {
			case history.Open:
				if e.From != c.From {
					r.violate("I2", c, e.Conn, key{}, "the server calls this client %q, it is %q", e.From, c.From)
				}
			case history.Message:
				r.checkMessage(c, e)
			case history.Receipt:
				r.checkReceipt(c, e)
			}
		}
	}
}

func (r *run) checkMessage(c *client, e history.Event) {
	k := key{e.From, e.ID}
	m := r.messages[k]
	switch {
	case m == nil:
		r.violate("I2", c, e.Conn, k, "received, but never sent by that one")
	case e.At < m.sends[0].at:
		r.violate("I2", c, e.Conn, k, "received before it was sent")
	case !slices.Contains(m.channels, c.Channel):
		r.violate("I2", c, e.Conn, k, "received on channel %q, but meant for %q", c.Channel, m.channels)
	case e.Dest != m.dest:
		r.violate("I2", c, e.Conn, k, "received with dest %q, sent to %q", e.Dest, m.dest)
	case !m.holds(e.Sum, e.Size):
		r.violate("I2", c, e.Conn, k, "received with other data than was sent (%d bytes, CRC-32 %08x)", e.Size, e.Sum)
	}
}

func (r *run) checkReceipt(c *client, e history.Event) {
	k := key{c.From, e.ID}
	m := r.messages[k]
	switch {
	case m == nil:
		r.violate("I2", c, e.Conn, k, "a %d for what this client never sent", e.Code)
	case e.At < m.sends[0].at:
		r.violate("I2", c, e.Conn, k, "a %d for what was not yet sent", e.Code)
	case e.Dest != m.dest:
		r.violate("I2", c, e.Conn, k, "a %d with dest %q, it was sent to %q", e.Code, e.Dest, m.dest)
	case !slices.Contains(m.channels, r.channelOf(e.From)):
		r.violate("I2", c, e.Conn, k, "a %d from %q, for whom it was not meant", e.Code, e.From)
	}
}

// holds reports whether one of the sendings had that data. (Of several with one id, the first that was stored wins.)
func (m *message) holds(sum uint32, size int) bool {
	for _, s := range m.sends {
		if s.sum == sum && s.size == size {
			return true
		}
	}
	return false
}
