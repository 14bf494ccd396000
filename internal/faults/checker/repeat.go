package checker

import "github.com/bachata-go/bachata/internal/faults/history"

// checkRepeats judges I3.
func (r *run) checkRepeats() {
	for _, c := range r.clients {
		for _, conn := range c.conns {
			seen := make(map[key]bool)
			for _, w := range conn.written {
				if seen[w.key] && w.key.id != "" {
					r.violate("I3", c, conn.number, w.key, "written twice to one connection")
				}
				seen[w.key] = true
			}
		}
		seen := make(map[key]bool)
		for _, w := range c.shown {
			if seen[w.key] && w.key.id != "" {
				r.violate("I3", c, 0, w.key, "shown to the application twice")
			}
			seen[w.key] = true
		}
		r.checkRepeatedReceipts(c)
	}
}

// checkRepeatedReceipts counts receipts: on one connection there is one, and one more for each time that the message was
// sent again (it is answered with its receipts again); the application is told once.
func (r *run) checkRepeatedReceipts(c *client) {
	type line struct {
		conn int // 0: the application
		key
	}
	counts := make(map[line]int)
	for _, e := range c.Events {
		l := line{key: key{e.From, e.ID}}
		own := key{c.From, e.ID}
		switch e.Kind {
		case history.Receipt:
			l.conn = e.Conn
			counts[l]++
			if m := r.messages[own]; m != nil && counts[l] > len(m.sends) {
				r.violate("I3", c, e.Conn, own, "%d receipts from %q on one connection, it was sent %d times", counts[l], e.From, len(m.sends))
			}
		case history.Tell:
			if counts[l]++; counts[l] > 1 {
				r.violate("I3", c, e.Conn, own, "the application was told twice of the receipt from %q", e.From)
			}
		}
	}
}

// checkResends judges I6.
func (r *run) checkResends() {
	for k, m := range r.messages {
		if k.id == "" {
			continue
		}
		fresh := 0
		for _, e := range m.acks {
			if !e.Dup {
				fresh++
			} else if sent := m.sentBefore(e.At); sent < 2 {
				r.violate("I6", m.client, e.Conn, k, "answered as a duplicate, but sent %d times by then", sent)
			}
		}
		if fresh > 1 {
			r.violate("I6", m.client, 0, k, "accepted %d times as new", fresh)
		}
	}
	for _, c := range r.clients {
		for _, conn := range c.conns {
			for _, w := range conn.written {
				m := r.messages[w.key]
				if m == nil || w.key.id == "" {
					continue
				}
				if o, told := m.told[c.Channel]; told && o.at < conn.dialed {
					r.violate("I6", c, conn.number, w.key, "written to a connection made after its sender was told %d: it came back, or is a second message", o.code)
				}
			}
		}
	}
}

func (m *message) sentBefore(at int64) int {
	n := 0
	for _, s := range m.sends {
		if s.at < at {
			n++
		}
	}
	return n
}
