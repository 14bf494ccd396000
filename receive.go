package bachata

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
)

// intake collects what one read of a socket brought, so that it is put in one call, popped in one call and answered
// with one write. It is begun, then settled, then answered.
type intake struct {
	cause   // of what the session has the queue do
	session *Session
	batch   Batch
	inHook  *atomic.Bool // set while the application's code runs; nil if nobody wants to know
	frame   Frame
	made    []Message // room for messages
	items   []Item
	bytes   int // of the items' payloads
	results []PutResult
	routed  []routed
	keys    []Key
	popped  []Popped
	popErr  error
	replies []reply
	text    []byte
	out     []byte
}

// reply is one answer, in the order of the frames that it answers.
type reply struct {
	transport Transport
	item      int // index of the item that decides it, or -1
	ids       [1]ID
}

// routed is a message whose channels its routes have named.
type routed struct {
	message *Message
	posts   []post
}

// waited is the batch of a queue that has none: each call is waited for.
type waited struct{ Queue }

func (waited) Wait(context.Context) error { return nil }

func (c *Center) newIntake() any {
	b := &intake{cause: cause{Context: c.ctx, center: c}, batch: waited{c.queue}}
	if q, ok := c.queue.(Batcher); ok {
		b.batch = q.Batch()
	}
	return b
}

// release is the last thing that is done with an intake.
func (b *intake) release() {
	c := b.center
	b.reset()
	b.session, b.made, b.inHook = nil, nil, nil
	b.frame = Frame{Transport: Transport{IDs: b.frame.Transport.IDs[:0]}}
	if cap(b.out) > keptBuffer {
		b.out = nil
	}
	c.intakes.Put(b)
	c.leave()
}

// reset empties an intake that is answered.
func (b *intake) reset() {
	clear(b.items)
	clear(b.routed)
	clear(b.keys)
	clear(b.replies)
	b.items, b.bytes, b.results, b.routed = b.items[:0], 0, nil, b.routed[:0]
	b.keys, b.popped, b.popErr = b.keys[:0], nil, nil
	b.replies, b.out = b.replies[:0], b.out[:0]
}

// Receive handles the texts of complete frames, in order, and answers them with one write. It is called by one
// goroutine at a time and may block, while routes run and while the queue stores what came; the driver reads no further
// meanwhile. The bytes are the driver's again when it returns.
func (s *Session) Receive(texts [][]byte) {
	if b := s.begin(texts, nil, nil); b != nil {
		b.end()
	}
}

// begin does what Receive does but for waiting for the queue and for what comes behind that, and takes what is proven off
// the inbox. Who calls it ends what it returns, and calls it again only then. It may block while routes run; when much was
// collected, that is stored and answered first. It returns nil if the center is closed.
func (s *Session) begin(texts [][]byte, proven []Key, inHook *atomic.Bool) *intake {
	c := s.center
	if !c.enter() {
		return nil // the socket is being closed
	}
	b := c.intakes.Get().(*intake)
	b.session, b.inHook = s, inHook
	b.keys = append(b.keys, proven...)
	c.counters.Add(CountFramesIn, int64(len(texts)))
	for i, text := range texts {
		if len(b.made) == 0 && i < len(texts)-1 {
			b.made = make([]Message, min(len(texts)-i, messagesAtOnce))
		}
		s.receive(b, text)
		if len(b.items) >= batchItems || b.bytes >= batchBytes || len(b.keys) >= c.options.Window.Messages {
			b.store()
			b.finish()
			b.reset()
		}
	}
	b.store()
	return b
}

// store hands what was collected to the queue.
func (b *intake) store() {
	c, s := b.center, b.session
	if len(b.items) > 0 {
		b.results = c.put(&b.cause, b.batch, b.items)
	}
	if len(b.keys) > 0 {
		b.popped, b.popErr = s.take(&b.cause, b.batch, b.keys)
	}
}

// settle returns when what the intake has stored and popped is safe.
func (b *intake) settle() {
	if len(b.items) == 0 && len(b.keys) == 0 {
		return
	}
	err := b.batch.Wait(&b.cause)
	if err == nil {
		return
	}
	b.center.logQueueError("wait", err)
	clear(b.popped) // they are popped again
	b.popErr = err
	for i := range b.results {
		b.results[i] = make(PutResult, len(b.results[i])) // all Unavailable
	}
}

// end is all that is still to be done with an intake that has stored what it holds.
func (b *intake) end() {
	b.finish()
	b.release()
}

// finish settles and answers.
func (b *intake) finish() {
	b.settle()
	batch, ok := b.session.socket.(corker)
	if ok {
		batch.cork()
	}
	b.answer()
	b.cause.run()
	if ok {
		batch.uncork()
	}
	b.post()
}

// receive handles one frame.
func (s *Session) receive(b *intake, text []byte) {
	var err error
	if p, ok := s.center.proto.(jsonProtocol); ok {
		err = p.decode(text, &b.frame, true) // confirm copies what it keeps
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
	s.message(b, b.keep(&b.frame.Message))
}

// messagesAtOnce is how many messages of one read share one allocation.
const messagesAtOnce = 16

// keep returns a copy of m that routes may keep.
func (b *intake) keep(m *Message) *Message {
	if len(b.made) == 0 {
		b.made = make([]Message, 1)
	}
	kept := &b.made[0]
	b.made = b.made[1:]
	*kept = *m
	return kept
}

// transport handles a transport message of the client's.
func (s *Session) transport(b *intake, t *Transport) {
	switch t.Code {
	case CodePing:
		b.replies = append(b.replies, reply{transport: Transport{Code: CodePong}, item: -1})
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
		if err := c.guard(b.inHook, func() error { return s.onMessage(s, m) }); err != nil {
			b.refuse(c, err, m.id)
			return
		}
	}
	d, err := c.route(c.ctx, m, s, b.inHook)
	switch {
	case err != nil:
		b.refuse(c, err, m.id)
	case m.ephemeral:
		c.publish(d.channels, c.proto.AppendMessage(nil, m))
	case len(d.channels) == 0:
		b.accept(m.id)
	default:
		item := c.item(m, d)
		item.Origin = s.hub.channel
		b.items = append(b.items, item)
		b.bytes += len(item.Payload)
		b.routed = append(b.routed, routed{message: m, posts: d.posts})
		b.replies = append(b.replies, reply{item: len(b.items) - 1})
	}
}

// accept answers a message that no inbox had to take.
func (b *intake) accept(id ID) {
	if !id.IsZero() {
		b.replies = append(b.replies, reply{transport: Transport{Code: CodeAccepted}, ids: [1]ID{id}, item: -1})
	}
}

// refuse answers with a 400. What is no Refusal is a route's or a hook's own error, of which the client learns only
// that there was one.
func (b *intake) refuse(c *Center, err error, id ID) {
	r := c.refusal(err, id)
	b.replies = append(b.replies, reply{transport: Transport{Code: CodeRefused, Refusal: r}, item: -1})
}

func (c *Center) refusal(err error, id ID) *Refusal {
	var r *Refusal
	if !errors.As(err, &r) {
		c.counters.Add(CountRouteErrors, 1)
		c.log.Error("route", "error", err)
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

// corker is a socket that may hold back what is written to it and to others until all of it is.
type corker interface {
	cork()
	uncork()
}

// answer writes the answers. Those whom the intake has woken are to be served then (cause.run). Neither blocks.
func (b *intake) answer() {
	c, s := b.center, b.session
	if len(b.keys) > 0 {
		s.confirmed(b.keys, b.popped, b.popErr)
	}
	for i := range b.replies {
		r := &b.replies[i]
		if r.item >= 0 && !s.outcome(b, r, b.results[r.item]) {
			continue
		}
		if !r.ids[0].IsZero() {
			r.transport.IDs = r.ids[:]
		}
		b.text = c.proto.AppendTransport(b.text[:0], &r.transport)
		b.out = s.socket.AppendFrame(b.out, b.text)
	}
	if len(b.out) > 0 {
		s.writeFrames(b.out)
	}
}

// posts reports whether routes want to be told what was stored.
func (b *intake) posts() bool {
	return slices.ContainsFunc(b.routed, func(r routed) bool { return len(r.posts) > 0 })
}

// post has them told. It blocks while many wait for that.
func (b *intake) post() {
	if !b.posts() {
		return
	}
	for i := range b.routed {
		b.center.postProcess(b.routed[i], b.items[i].Channels, b.results[i])
	}
	b.center.awaitPosts()
}

// outcome fills in the answer to an item, and reports whether there is one.
func (s *Session) outcome(b *intake, r *reply, result PutResult) bool {
	item := &b.items[r.item]
	dup, err := judge(result)
	if err != nil {
		r.transport = Transport{Code: CodeRefused, Refusal: s.center.refusal(err, item.ID)}
		return true
	}
	if item.ID.IsZero() {
		return false
	}
	s.center.counters.Add(CountAccepted, 1)
	if dup {
		s.center.counters.Add(CountDuplicate, 1)
	}
	r.transport = Transport{Code: CodeAccepted, Dup: dup}
	r.ids[0] = item.ID
	return true
}

// put stores items. What the queue does not answer for is unavailable.
func (c *Center) put(ctx context.Context, batch Batch, items []Item) []PutResult {
	results, err := batch.Put(ctx, items)
	if err != nil || len(results) != len(items) {
		if err != nil {
			c.logQueueError("put", err)
		}
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
