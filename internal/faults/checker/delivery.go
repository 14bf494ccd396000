package checker

import (
	"cmp"
	"slices"

	"github.com/bachata-go/bachata/internal/faults/history"
)

// checkQuiet sees to it that the run can be judged at all: that every client ended quiet, with an answer to everything,
// and that each channel that something was meant for has a client.
func (r *run) checkQuiet() {
	for _, c := range r.clients {
		if !c.quiet {
			r.violate("history", c, 0, key{}, "this client did not go quiet")
		}
	}
	for k, m := range r.messages {
		if k.id != "" && m.ackedAt == never && !m.refused && len(m.told) == 0 {
			r.violate("history", m.client, 0, k, "neither accepted nor refused for good")
		}
		for _, channel := range m.channels {
			if r.channels[channel] == nil && m.ackedAt != never {
				r.violate("history", m.client, 0, k, "accepted for channel %q, which has no client", channel)
			}
		}
	}
}

// checkDelivery judges I1.
func (r *run) checkDelivery() {
	swallowed := r.swallowed()
	for k, m := range r.messages {
		if k.id == "" || m.ackedAt == never {
			continue
		}
		for _, channel := range m.channels {
			if _, shown := m.shown[channel]; shown || r.channels[channel] == nil {
				continue
			}
			if o, told := m.told[channel]; told && o.code != codeDelivered {
				continue
			}
			if swallowed[m.client.Channel] > 0 {
				swallowed[m.client.Channel]--
				continue
			}
			r.violate("I1", m.client, m.sends[0].conn.number, k, "accepted (100), but channel %q never saw it, and no 480 or 481 says why", channel)
		}
	}
}

// swallowed returns for each channel how many receipts its gaps (1004) account for.
func (r *run) swallowed() map[string]int {
	counts := make(map[string]int)
	for _, c := range r.clients {
		for _, e := range c.gaps {
			counts[c.Channel] += e.Receipts
		}
	}
	return counts
}

// checkGaps judges I8: of what a channel missed it was told (1004), before it was shown anything that was sent later.
// A message for several channels is left out: an inbox that refused it never had it. A gap that is repeated after a
// reconnect counts twice, which can only hide something.
func (r *run) checkGaps() {
	for channel, clients := range r.channels {
		var missed []*message // in the order of their 100s
		for k, m := range r.messages {
			if _, shown := m.shown[channel]; k.id != "" && !shown && m.ackedAt != never && len(m.channels) == 1 && m.channels[0] == channel {
				missed = append(missed, m)
			}
		}
		if len(missed) == 0 {
			continue
		}
		slices.SortFunc(missed, func(a, b *message) int { return cmp.Compare(a.ackedAt, b.ackedAt) })
		r.checkGapsOf(clients, missed)
	}
}

func (r *run) checkGapsOf(clients []*client, missed []*message) {
	type step struct {
		client *client
		history.Event
	}
	var steps []step
	for _, c := range clients {
		for _, e := range c.Events {
			if e.Kind == history.Show || e.Kind == history.Gap {
				steps = append(steps, step{c, e})
			}
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.At, b.At) })
	told, must := 0, 0
	for _, s := range steps {
		if s.Kind == history.Gap {
			told += s.Dropped + s.Expired
			continue
		}
		m := r.messages[key{s.From, s.ID}]
		if m == nil {
			continue
		}
		before, _ := slices.BinarySearchFunc(missed, m.sends[0].at, func(m *message, at int64) int { return cmp.Compare(m.ackedAt, at) })
		if must = max(must, before); told < must {
			r.violate("I8", s.client, s.Conn, missed[must-1].key, "missing before message %q of %q, and by then 1004 had told of %d, not %d", s.ID, s.From, told, must)
			return
		}
	}
	if told < len(missed) {
		r.violate("I8", clients[0], 0, missed[len(missed)-1].key, "missing: of %d such messages 1004 told of %d", len(missed), told)
	}
}
