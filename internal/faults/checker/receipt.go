package checker

import "github.com/bachata-go/bachata/internal/faults/history"

const (
	codeDelivered = 300
	codeExpired   = 480
	codeDropped   = 481
)

// checkReceipts judges I5.
func (r *run) checkReceipts() {
	for _, c := range r.clients {
		for _, e := range c.Events {
			if e.Kind == history.Receipt {
				r.checkCause(c, e)
			}
		}
	}
	swallowed := r.swallowed()
	for k, m := range r.messages {
		if k.id == "" {
			continue
		}
		for channel := range m.confirmed {
			if _, told := m.told[channel]; told {
				continue
			}
			if swallowed[m.client.Channel] > 0 {
				swallowed[m.client.Channel]--
				continue
			}
			r.violate("I5", m.client, 0, k, "channel %q confirmed it (200), and its sender was not told (300)", channel)
		}
	}
}

// checkCause finds a 300 that nobody's 200 explains, and a second outcome for one channel.
func (r *run) checkCause(c *client, e history.Event) {
	k := key{c.From, e.ID}
	m := r.messages[k]
	if m == nil {
		return // judged as I2
	}
	channel := r.channelOf(e.From)
	switch at, confirmed := m.confirmed[channel]; {
	case e.Code != codeDelivered && e.Code != codeExpired && e.Code != codeDropped:
		r.violate("history", c, e.Conn, k, "%d is no receipt", e.Code)
	case e.Code == codeDelivered && !confirmed:
		r.violate("I5", c, e.Conn, k, "a 300 from %q, who never confirmed it", e.From)
	case e.Code == codeDelivered && e.At < at:
		r.violate("I5", c, e.Conn, k, "a 300 from %q before its 200", e.From)
	}
	if o, told := m.told[channel]; told && o.code != e.Code {
		r.violate("I5", c, e.Conn, k, "a %d and a %d for the same channel %q", o.code, e.Code, channel)
	}
}
