package checker

import "slices"

// checkOrder judges I4, for what the server wrote to each connection and for what each application was shown.
func (r *run) checkOrder() {
	for _, clients := range r.channels {
		var sequences []sequence
		for _, c := range clients {
			for _, conn := range c.conns {
				sequences = append(sequences, r.newSequence(c, conn.number, conn.written))
			}
			// What one connection of several brought late was written to it alone, if the others came later: a simple queue
			// has written it to all that there were.
			if !r.options.Simple || !c.crowd {
				sequences = append(sequences, r.newSequence(c, 0, r.kept(c)))
			}
		}
		ok := true
		for _, s := range sequences {
			sender, acceptance := r.checkSenderOrder(s), r.checkAcceptance(s)
			ok = ok && sender && acceptance
		}
		if ok {
			r.checkOneOrder(sequences)
		}
	}
}

// kept returns what a client was shown, but for what left its inbox by itself, if it had several connections: those that
// were not written it before have what was sent later.
func (r *run) kept(c *client) []wire {
	if !c.crowd {
		return c.shown
	}
	return slices.DeleteFunc(slices.Clone(c.shown), func(w wire) bool {
		m := r.messages[w.key]
		if m == nil {
			return false
		}
		o, told := m.told[c.Channel]
		return told && o.code != codeDelivered
	})
}

// sequence is the order in which messages were seen.
type sequence struct {
	client   *client
	conn     int // 0: by the application
	messages []*message
}

// newSequence leaves out what comes again and what nobody sent: both are judged elsewhere; and in simple mode what was
// sent more than once, which makes as many messages.
func (r *run) newSequence(c *client, conn int, seen []wire) sequence {
	s := sequence{client: c, conn: conn}
	have := make(map[key]bool)
	for _, w := range seen {
		m := r.messages[w.key]
		if m != nil && w.key.id != "" && !have[w.key] && (!r.options.Simple || len(m.sends) == 1) {
			have[w.key] = true
			s.messages = append(s.messages, m)
		}
	}
	return s
}

// checkSenderOrder: the messages of one sending connection come in the order of their frames. A client sends again in the
// same order what was not answered, so it does not matter which of the connections it was accepted on. A sending that may
// have failed orders nothing.
func (r *run) checkSenderOrder(s sequence) bool {
	latest := make(map[*conn]*message) // of those seen so far and first sent there, the one sent last
	for _, m := range s.messages {
		for _, sent := range m.sends {
			if l := latest[sent.conn]; l != nil && !sent.unstored && l.sends[0].position > sent.position {
				r.violate("I4", s.client, s.conn, m.key, "came after message %q, which the same connection %d of %s sent later", l.key.id, sent.conn.number, sent.client.Client)
				return false
			}
		}
		f := m.sends[0]
		if l := latest[f.conn]; l == nil || l.sends[0].position < f.position {
			latest[f.conn] = m
		}
	}
	return true
}

// checkAcceptance: what was sent only after another message had been accepted comes after it.
func (r *run) checkAcceptance(s sequence) bool {
	var early *message // of those that come later, the one accepted first
	for i := len(s.messages) - 1; i >= 0; i-- {
		m := s.messages[i]
		if early != nil && early.ackedAt < m.sends[0].at {
			r.violate("I4", s.client, s.conn, early.key, "came after message %q of %q, which was sent when this one had been accepted", m.key.id, m.key.from)
			return false
		}
		if m.ackedAt != never && (early == nil || m.ackedAt < early.ackedAt) {
			early = m
		}
	}
	return true
}

// checkOneOrder: there is one order that all sequences follow, each with some left out.
func (r *run) checkOneOrder(sequences []sequence) {
	next := make(map[*message]map[*message]bool)
	before := make(map[*message]int)
	for _, s := range sequences {
		for i, m := range s.messages {
			if next[m] == nil {
				next[m] = make(map[*message]bool)
			}
			if i > 0 && !next[s.messages[i-1]][m] {
				next[s.messages[i-1]][m] = true
				before[m]++
			}
		}
	}
	var free []*message
	for m := range next {
		if before[m] == 0 {
			free = append(free, m)
		}
	}
	ordered := make(map[*message]bool)
	for len(free) > 0 {
		m := free[len(free)-1]
		free = free[:len(free)-1]
		ordered[m] = true
		for n := range next[m] {
			if before[n]--; before[n] == 0 {
				free = append(free, n)
			}
		}
	}
	for _, s := range sequences {
		for _, m := range s.messages {
			if !ordered[m] {
				r.violate("I4", s.client, s.conn, m.key, "two connections of the channel saw it in another order among its neighbors")
				return
			}
		}
	}
}
