package bachata

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// Receive handles the texts of complete frames, in order, and answers them with one write. It is called by one
// goroutine at a time and may block, while routes run and while the queue stores what came; the driver reads no further
// meanwhile. The bytes are the driver's again when it returns.
func (s *Session) Receive(texts [][]byte) {
	if b := s.collect(texts, nil, nil, false); b != nil {
		b.end()
	}
}

// begin does what Receive does but for waiting for the queue and for what comes behind that, and takes what is proven off
// the inbox. Who calls it ends what it returns, and calls it again only then. It may block while routes run; when much was
// collected, that is stored and answered first. It returns nil if the center is closed. The texts are valid UTF-8.
func (s *Session) begin(texts [][]byte, proven []Key, inHook *atomic.Bool) *intake {
	return s.collect(texts, proven, inHook, true)
}

// collect is begin for texts of which valid says whether they are known to be UTF-8.
func (s *Session) collect(texts [][]byte, proven []Key, inHook *atomic.Bool, valid bool) *intake {
	c := s.center
	if !c.enter() {
		return nil // the socket is being closed
	}
	b := c.intakes.Get().(*intake)
	b.session, b.inHook = s, inHook
	b.keys = append(b.keys, proven...)
	b.reading = reading{borrow: true, valid: valid} // confirm copies what it keeps
	if !c.options.RefuseFrom {
		b.reading.from = s.from()
	}
	c.count(CountFramesIn, int64(len(texts)))
	for i, text := range texts {
		if c.ctx.Err() != nil {
			break // nothing is stored or answered any more
		}
		b.left = len(texts) - i
		s.receive(b, text)
		if len(b.items) >= batchItems || b.bytes >= batchBytes || len(b.keys) >= batchKeys {
			b.store()
			b.finish()
			b.reset()
		}
	}
	b.store()
	return b
}

// receive handles one frame.
func (s *Session) receive(b *intake, text []byte) {
	var err error
	if b.plain {
		err = jsonProtocol{}.decode(text, &b.frame, b.reading)
	} else {
		err = s.center.proto.Decode(text, &b.frame)
	}
	if err != nil {
		b.refuse(s.center, err, ID{})
		return
	}
	if b.frame.IsTransport() {
		s.transport(b, &b.frame.Transport)
		return
	}
	s.message(b, &b.frame.Message)
}

// transport handles a transport message of the client's.
func (s *Session) transport(b *intake, t *Transport) {
	switch t.Code {
	case CodePing:
		b.replies = append(b.replies, reply{own: &ownReply{code: CodePong}})
	case CodePong:
	case CodeReceived:
		if s.center.mode == Reliable {
			b.keys = s.confirm(b.keys, t)
		}
	case CodeAccepted, CodeDelivered, CodeRefused, CodeExpired, CodeDropped, CodeReady, CodeGoingAway, CodeGap:
		b.refuse(s.center, &Refusal{Code: RefusedType, Reason: fmt.Sprintf("only the server sends %d", t.Code)}, ID{})
	default:
		b.refuse(s.center, &Refusal{Code: RefusedType, Reason: fmt.Sprintf(`"type" %d is not a known code`, t.Code)}, ID{})
	}
}

// message takes a message through the routes.
func (s *Session) message(b *intake, m *Message) {
	c := s.center
	if c.options.RefuseFrom && m.from != "" && m.from != s.from() {
		b.refuse(c, &Refusal{Code: RefusedFrom, Reason: `"from" is set by the server; leave it out`}, m.id)
		return
	}
	m.setFrom(s.from())
	if s.onMessage != nil {
		m = b.keep(m)
		if err := s.see(m, b.inHook); err != nil {
			b.refuse(c, err, m.id)
			return
		}
	}
	id := m.id
	d, err := c.route(c.ctx, m, s, b)
	switch m = d.message; {
	case err != nil:
		b.refuse(c, err, id)
	case m.ephemeral:
		c.publish(d.channels, c.proto.AppendMessage(nil, m))
	case len(d.channels) == 0:
		b.accept(m.id)
	default:
		item := c.item(m, d)
		item.Origin = s.hub.channel
		b.items = append(b.items, item)
		b.bytes += len(item.Payload)
		if len(d.posts) > 0 {
			b.routed = append(b.routed, routed{message: m, posts: d.posts, item: len(b.items) - 1})
		}
		b.replies = append(b.replies, reply{item: len(b.items) - 1})
	}
}

// see shows m to the hook of the session's.
func (s *Session) see(m *Message, inHook *atomic.Bool) (err error) {
	defer s.center.caught(inHook, &err)
	enterHook(inHook)
	return s.onMessage(s, m)
}

func (c *Center) refusal(err error, id ID) *Refusal {
	var r *Refusal
	if !errors.As(err, &r) {
		c.counters.Add(CountRouteErrors, 1)
		if !errors.Is(err, errPanic) { // which is logged already
			c.errors.write(c.log, "route", err.Error(), "a route or a hook failed", "error", err)
		}
		r = &Refusal{Code: RefusedRoute, Reason: "the message could not be routed"}
	}
	c.counters.Add(CountRefused, 1)
	if r.Code == RefusedUnavailable {
		c.counters.Add(CountUnavailable, 1)
	}
	told := *r
	if told.ID.IsZero() {
		told.ID = id
	}
	return &told
}

// put stores items. What the queue does not answer for is unavailable.
func (c *Center) put(ctx context.Context, batch Batch, items []Item) []PutResult {
	results, err := batch.Put(ctx, items)
	if err != nil {
		c.queueFailed("put", err)
	} else {
		c.queueAnswered("put")
	}
	if err != nil || len(results) != len(items) {
		results = make([]PutResult, len(items))
	}
	for i := range results {
		if len(results[i]) != len(items[i].Channels) {
			results[i] = make(PutResult, len(items[i].Channels)) // all Unavailable
		}
	}
	return results
}

// judge says what a result means for the sender: accepted, accepted before, or refused.
func judge(result PutResult) (dup bool, err error) {
	var stored, duplicate, full int
	for _, status := range result {
		switch status {
		case Stored:
			stored++
		case Duplicate:
			duplicate++
		case Full:
			full++
		default:
			return false, &Refusal{Code: RefusedUnavailable, Reason: "not known to be stored; send the same id again"}
		}
	}
	if full == len(result) {
		return false, &Refusal{Code: RefusedInboxFull, Reason: "the receiver's inbox is full"}
	}
	return stored == 0 && duplicate > 0, nil
}
