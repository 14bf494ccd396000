package checker

import (
	"cmp"
	"math"
	"slices"

	"github.com/bachata-go/bachata/internal/faults/history"
)

// never is the time of what did not happen.
const never = math.MaxInt64

// key is how an application knows a message.
type key struct{ from, id string }

// run is everything that the histories say, by message and by connection.
type run struct {
	options  Options
	clients  []*client
	servers  []history.History
	channels map[string][]*client // the clients of each
	names    map[string]string    // shown name to channel
	messages map[key]*message
	full     bool // some send was refused because of a full inbox
	report   Report
}

// client is one history.
type client struct {
	history.History
	conns []*conn         // in the order in which they were dialed
	shown []wire          // to the application
	open  int             // of conns, so far
	crowd bool            // there were two at once
	quiet bool            // it ended so
	gaps  []history.Event // of kind Gap
}

// conn is one connection of a client.
type conn struct {
	number    int
	dialed    int64
	opened    bool
	written   []wire // what the server wrote to it, in order
	refusals  bool   // some send on it was refused as unavailable
	positions int    // sends so far
}

// wire is a message, seen.
type wire struct {
	key  key
	at   int64
	size int
}

// message is what is known of one message.
type message struct {
	key       key
	client    *client // that sent it first
	dest      string
	channels  []string // that it is meant for
	sends     []*send
	acks      []history.Event
	ackedAt   int64              // the first 100
	refused   bool               // for good: with another code than unavailable
	shown     map[string]int64   // channel to when it was first shown there
	confirmed map[string]int64   // channel to when it was first confirmed there
	told      map[string]outcome // channel to what the sender was first told of it
}

// send is one sending of a message.
type send struct {
	at       int64
	client   *client
	conn     *conn
	position int // among the sends on the connection, from 1
	sum      uint32
	size     int
	answered bool
	unstored bool // it may have failed: refused, or unanswered where others were refused, itself later, or inboxes full
}

// outcome is what a sender was told.
type outcome struct {
	code int
	at   int64
}

func newRun(all []history.History, o Options) *run {
	r := &run{
		options:  o,
		channels: make(map[string][]*client),
		names:    make(map[string]string),
		messages: make(map[key]*message),
	}
	for _, h := range all {
		if h.Channel == "" {
			r.servers = append(r.servers, h)
			continue
		}
		c := &client{History: h}
		r.clients = append(r.clients, c)
		r.channels[h.Channel] = append(r.channels[h.Channel], c)
		if other, taken := r.names[h.From]; taken && other != h.Channel {
			r.violate("history", c, 0, key{}, "%q is the shown name of channels %q and %q", h.From, other, h.Channel)
		}
		r.names[h.From] = h.Channel
	}
	for _, c := range r.clients {
		for _, e := range c.Events {
			r.sent(c, e)
		}
	}
	for _, c := range r.clients {
		for _, e := range c.Events {
			r.seen(c, e)
		}
	}
	for _, m := range r.messages {
		slices.SortStableFunc(m.sends, func(a, b *send) int { return cmp.Compare(a.at, b.at) })
		again := slices.ContainsFunc(m.sends, func(s *send) bool { return s.unstored })
		for _, s := range m.sends {
			s.unstored = s.unstored || !s.answered && (again || s.conn.refusals || r.full)
		}
	}
	return r
}

// sent notes what a client did and how that was answered.
func (r *run) sent(c *client, e history.Event) {
	switch e.Kind {
	case history.Dial:
		c.conns = append(c.conns, &conn{number: e.Conn, dialed: e.At})
		c.open++
		c.crowd = c.crowd || c.open > 1
	case history.Close:
		c.open--
	case history.Send:
		conn := c.conn(e.Conn)
		k := key{c.From, e.ID}
		m := r.messages[k]
		if m == nil {
			m = &message{key: k, client: c, dest: e.Dest, channels: e.To, ackedAt: never, shown: make(map[string]int64),
				confirmed: make(map[string]int64), told: make(map[string]outcome)}
			if len(m.channels) == 0 {
				m.channels = []string{e.Dest}
			}
			r.messages[k] = m
		} else if e.ID != "" && m.dest != e.Dest {
			r.violate("history", c, e.Conn, k, "sent to %q and to %q, which are two messages: the histories tell them not apart", m.dest, e.Dest)
		}
		conn.positions++
		m.sends = append(m.sends, &send{at: e.At, client: c, conn: conn, position: conn.positions, sum: e.Sum, size: e.Size})
	case history.Ack:
		k := key{c.From, e.ID}
		m := r.messages[k]
		if m == nil || !m.answer(c.conn(e.Conn), false) {
			r.violate("I2", c, e.Conn, k, "answered with 100 more often than it was sent on this connection")
			return
		}
		m.acks = append(m.acks, e)
		m.ackedAt = min(m.ackedAt, e.At)
	case history.Refuse:
		if e.ID == "" {
			return
		}
		k := key{c.From, e.ID}
		conn := c.conn(e.Conn)
		m := r.messages[k]
		if m == nil || !m.answer(conn, true) {
			r.violate("I2", c, e.Conn, k, "answered with 400 more often than it was sent on this connection")
			return
		}
		if e.Reason == "unavailable" {
			conn.refusals = true
		} else {
			m.refused = true
		}
		r.full = r.full || e.Reason == "inbox_full"
	}
}

// answer gives an answer to the oldest send on conn that has none, and reports whether there is one.
func (m *message) answer(conn *conn, refused bool) bool {
	for _, s := range m.sends {
		if s.conn == conn && !s.answered {
			s.answered, s.unstored = true, refused
			return true
		}
	}
	return false
}

// seen notes what came to a client, and what it did with it.
func (r *run) seen(c *client, e history.Event) {
	k := key{e.From, e.ID}
	m := r.messages[k]
	switch e.Kind {
	case history.Open:
		c.conn(e.Conn).opened = true
	case history.Message:
		conn := c.conn(e.Conn)
		conn.written = append(conn.written, wire{key: k, at: e.At, size: e.Size})
	case history.Show:
		c.shown = append(c.shown, wire{key: k, at: e.At})
		if m != nil {
			first(m.shown, c.Channel, e.At)
		}
	case history.Confirm:
		if m != nil {
			first(m.confirmed, c.Channel, e.At)
		}
	case history.Tell:
		if m := r.messages[key{c.From, e.ID}]; m != nil {
			channel := r.channelOf(e.From)
			if old, told := m.told[channel]; !told || e.At < old.at {
				m.told[channel] = outcome{code: e.Code, at: e.At}
			}
		}
	case history.Gap:
		c.gaps = append(c.gaps, e)
	case history.Quiet:
		c.quiet = true
	}
}

func first(times map[string]int64, channel string, at int64) {
	if old, there := times[channel]; !there || at < old {
		times[channel] = at
	}
}

// conn returns the connection of a number, also one whose dial was not recorded.
func (c *client) conn(number int) *conn {
	for _, conn := range slices.Backward(c.conns) {
		if conn.number == number {
			return conn
		}
	}
	conn := &conn{number: number}
	c.conns = append(c.conns, conn)
	return conn
}

// channelOf returns the channel of a shown name. Receipts for what nobody got name the channel itself.
func (r *run) channelOf(name string) string {
	if channel, known := r.names[name]; known {
		return channel
	}
	return name
}
