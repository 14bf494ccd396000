package bachata

import (
	"context"
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
	reading reading
	plain   bool      // the protocol is ours: its frames are decoded as reading says
	made    []Message // room for messages that routes may keep
	names   []string  // room for the channels of messages that go to one
	items   []Item
	left    int // frames of the read that are not handled yet
	bytes   int // of the items' payloads
	results []PutResult
	routed  []routed // those of the items that want post-processing
	keys    []Key
	popped  []Popped
	popErr  error
	replies []reply
	told    Transport // the reply that is being encoded, and its id
	ids     [1]ID
	text    []byte
	out     []byte
}

// reply is one answer, in the order of the frames that it answers. It is small: each message has one.
type reply struct {
	item int
	own  *ownReply // nil: the item decides it
}

// ownReply is the answer to what was not put.
type ownReply struct {
	code    Code
	id      ID
	refusal *Refusal
}

// routed is a message whose routes want to be told what was stored.
type routed struct {
	message *Message
	posts   []post
	item    int
}

// waited is the batch of a queue that has none: each call is waited for.
type waited struct{ Queue }

func (waited) Wait(context.Context) error { return nil }

func (c *Center) newIntake() any {
	b := &intake{cause: cause{Context: c.ctx, center: c, keeps: true}, batch: waited{c.queue}}
	if q, ok := c.queue.(Batcher); ok {
		b.batch = q.Batch()
	}
	_, b.plain = c.proto.(jsonProtocol)
	return b
}

// release is the last thing that is done with an intake.
func (b *intake) release() {
	c := b.center
	b.reset()
	b.session, b.made, b.names, b.inHook = nil, nil, nil, nil
	b.reading.from, b.told, b.ids = "", Transport{}, [1]ID{}
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
		b.center.queueAnswered("wait")
		return
	}
	b.center.queueFailed("wait", err)
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
	own := ok && b.inHook == nil // a worker has one under way
	if own {
		batch.cork()
	}
	b.answer()
	if len(b.cause.woken) > 0 && (!ok || !batch.later(&b.cause)) {
		b.cause.run()
	}
	if own {
		batch.uncork()
	}
	b.post()
}

// madeAtOnce is how many messages of one read share one allocation.
const madeAtOnce = 16

// keep returns m if routes may keep it, else a copy of it that they may.
func (b *intake) keep(m *Message) *Message {
	if m != &b.frame.Message {
		return m
	}
	if len(b.made) == 0 {
		b.made = make([]Message, min(b.left, madeAtOnce))
	}
	kept := &b.made[0]
	b.made = b.made[1:]
	*kept = *m
	return kept
}

// only returns a list of one channel.
func (b *intake) only(channel string) []string {
	if len(b.names) == 0 {
		b.names = make([]string, min(b.left, madeAtOnce))
	}
	list := b.names[:1:1]
	b.names = b.names[1:]
	list[0] = channel
	return list
}

// accept answers a message that no inbox had to take.
func (b *intake) accept(id ID) {
	if !id.IsZero() {
		b.replies = append(b.replies, reply{own: &ownReply{code: CodeAccepted, id: id}})
	}
}

// refuse answers with a 400. What is no Refusal is a route's or a hook's own error, of which the client learns only
// that there was one.
func (b *intake) refuse(c *Center, err error, id ID) {
	b.replies = append(b.replies, reply{own: &ownReply{code: CodeRefused, refusal: c.refusal(err, id)}})
}

// corker is a socket that may hold back what is written to it and to others until all of it is, and answers for longer.
type corker interface {
	cork()
	uncork()
	later(*cause) bool
	answer(frames []byte) error
}

// answer writes the answers. Those whom the intake has woken are to be served then (cause.run). Neither blocks.
func (b *intake) answer() {
	c, s := b.center, b.session
	if len(b.keys) > 0 {
		s.confirmed(b.keys, b.popped, b.popErr)
	}
	var accepted, duplicate int64
	for i := range b.replies {
		r, t := &b.replies[i], &b.told
		t.Refusal, t.Dup, t.IDs = nil, false, nil
		if own := r.own; own != nil {
			t.Code, t.Refusal, b.ids[0] = own.code, own.refusal, own.id
		} else {
			item := &b.items[r.item]
			dup, err := judge(b.results[r.item])
			switch {
			case err != nil:
				t.Code, t.Refusal, b.ids[0] = CodeRefused, c.refusal(err, item.ID), ID{}
			case item.ID.IsZero():
				continue
			default:
				t.Code, t.Dup, b.ids[0] = CodeAccepted, dup, item.ID
				accepted++
				if dup {
					duplicate++
				}
			}
		}
		if !b.ids[0].IsZero() {
			t.IDs = b.ids[:]
		}
		b.text = c.proto.AppendTransport(b.text[:0], t)
		b.out = s.socket.AppendFrame(b.out, b.text)
	}
	c.count(CountAccepted, accepted)
	c.count(CountDuplicate, duplicate)
	if len(b.out) > 0 {
		s.writeAnswers(b.out)
	}
}

// posts reports whether routes want to be told what was stored.
func (b *intake) posts() bool { return len(b.routed) > 0 }

// post has the routes that want it told what was stored. It blocks while many wait for that.
func (b *intake) post() {
	if len(b.routed) == 0 {
		return
	}
	for i := range b.routed {
		r := &b.routed[i]
		b.center.postProcess(*r, b.items[r.item].Channels, b.results[r.item])
	}
	b.center.awaitPosts()
}
