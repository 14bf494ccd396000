package inbox

import (
	"context"
	"errors"
	"sync"

	"github.com/bachata-go/bachata"
)

// Put is bachata.Queue's.
func (e *Engine[R]) Put(ctx context.Context, items []bachata.Item) ([]bachata.PutResult, error) {
	b := batch[R]{e: e}
	results, err := b.Put(ctx, items)
	if failed := b.Wait(ctx); err == nil && failed != nil {
		for _, r := range results {
			clear(r)
		}
		return results, failed
	}
	return results, err
}

// puts is room for the messages of one Put.
type puts struct {
	list     []*Message
	messages []Message
	used     int // of messages
}

// room returns n messages to set.
func (p *puts) room(n int) []*Message {
	if n > len(p.messages) {
		p.messages = make([]Message, n)
		p.list = p.list[:0]
		for i := range p.messages {
			p.list = append(p.list, &p.messages[i])
		}
	}
	p.used = n
	return p.list[:n]
}

func (p *puts) release(pool *sync.Pool) {
	if p != nil && len(p.messages) <= 256 {
		clear(p.messages[:p.used])
		pool.Put(p)
	}
}

// newResults makes room for the results of items: in one piece of memory for what most calls have.
func newResults(items []bachata.Item) []bachata.PutResult {
	if len(items) == 1 && len(items[0].Channels) == 1 {
		var one struct {
			results [1]bachata.PutResult
			status  [1]bachata.PutStatus
		}
		one.results[0] = one.status[:]
		return one.results[:]
	}
	n := 0
	for i := range items {
		n += len(items[i].Channels)
	}
	all := make(bachata.PutResult, n)
	results := make([]bachata.PutResult, len(items))
	for i := range items {
		n := len(items[i].Channels)
		results[i], all = all[:n:n], all[n:]
	}
	return results
}

// put stores one message, or hands it over, under the lock.
func (e *Engine[R]) put(ctx context.Context, m *Message, channels []string, now int64, res bachata.PutResult) error {
	if !e.hands {
		return e.keep(ctx, m, channels, now, res)
	}
	left := e.handOver(ctx, m, channels, res)
	switch len(left) {
	case 0:
		return nil
	case len(channels):
		return e.keep(ctx, m, channels, now, res)
	}
	some := make(bachata.PutResult, len(left))
	err := e.keep(ctx, m, left, now, some)
	for i := range res {
		if res[i] != bachata.Stored {
			res[i], some = some[0], some[1:]
		}
	}
	return err
}

// handOver gives a message to who is connected to channels, and returns those where nobody takes it or something waits
// before it.
func (e *Engine[R]) handOver(ctx context.Context, m *Message, channels []string, res bachata.PutResult) (left []string) {
	handed := false
	for i, channel := range channels {
		switch {
		case e.book.Free(channel, m.Size) && e.watchers.Take(ctx, channel, m.Payload):
			res[i] = bachata.Stored
			if !handed {
				handed, left = true, append(left, channels[:i]...)
			}
		case handed:
			left = append(left, channel)
		}
	}
	if !handed {
		return channels
	}
	return left
}

// keep stores one message.
func (e *Engine[R]) keep(ctx context.Context, m *Message, channels []string, now int64, res bachata.PutResult) error {
	for _, channel := range channels {
		if e.book.Due(channel, now) {
			if err := e.expire(ctx, channel, now, false); err != nil {
				return err
			}
		}
	}
	e.book.DecidePut(m, channels, now, &e.ops, res)
	if e.ops.Len() == 0 {
		e.book.Age(now, 32)
		return nil
	}
	if e.ops.List[0].Kind == OpReceipt {
		if err := e.repeat(now); err != nil {
			return err
		}
		e.trim(now)
		return nil
	}
	err := e.commit(now, false)
	if errors.Is(err, ErrTooLarge) {
		m.Targets = nil
		for i := range res {
			res[i] = bachata.Full
		}
		return nil
	}
	if err != nil {
		return err
	}
	e.trim(now)
	return nil
}

// wakeStored wakes who watches an inbox that took one of messages. Those that follow each other in one inbox are one
// wake-up.
func (e *Engine[R]) wakeStored(cause context.Context, messages []*Message) {
	if !e.watchers.Any() {
		return
	}
	w := e.rooms.get()
	for len(messages) > 0 {
		n := run(messages)
		clear(w.room)
		w.room = w.room[:0]
		for i := range messages[0].Targets {
			t := &messages[0].Targets[i]
			if t.Full {
				continue
			}
			e.watchers.Wake(t.Channel, func() bachata.Wake {
				for _, m := range messages[len(w.room):n] { // those that are not there yet: a message to many is the same for all
					w.room = append(w.room, bachata.Envelope{
						Cursor:  bachata.Cursor(m.Targets[i].Seq),
						ID:      m.ID,
						From:    m.From,
						Dest:    m.Dest,
						Payload: m.Payload,
					})
				}
				w.room[0].Cursor = bachata.Cursor(t.Seq)
				return bachata.Wake{Cause: cause, Prev: bachata.Cursor(t.Prev), Envelopes: w.room[:n:n]}
			})
		}
		messages = messages[n:]
	}
	e.rooms.put(w)
}

// run returns how many of messages follow each other in one inbox and are in no other; 1 at least.
func run(messages []*Message) int {
	first := messages[0].Targets
	n := 1
	if len(first) != 1 || first[0].Full {
		return n
	}
	for ; n < len(messages); n++ {
		next := messages[n].Targets
		if len(next) != 1 || next[0].Full || next[0].Channel != first[0].Channel || next[0].Prev != messages[n-1].Targets[0].Seq {
			break
		}
	}
	return n
}

// Fetch is bachata.Queue's.
func (e *Engine[R]) Fetch(ctx context.Context, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
	if err := e.backend.Err(); err != nil {
		return nil, err
	}
	release := e.backend.Hold()
	defer release()
	kept := e.finds.Get().(*[]Found[R])
	defer func() {
		if cap(*kept) <= 512 {
			clear(*kept)
			e.finds.Put(kept)
		}
	}()
	v := view[R]{found: (*kept)[:0]}
	err := e.find(ctx, &v, channel, after, limit)
	*kept = v.found
	if err != nil {
		return nil, err
	}
	// What was found is what is returned, once it is safe: then it can also be read. Looking again afterwards would
	// have no end in an inbox that loses messages all the time.
	if err := e.settle(ctx, v.ticket, news{woken: v.woken}); err != nil {
		return nil, err
	}
	if !e.inside {
		err = e.read(&v)
	}
	if len(v.list) == 0 {
		return nil, err
	}
	if e.limits.Simple {
		return e.take(channel, v.found[:len(v.list)], v.list)
	}
	return v.list, nil
}

// take removes what a simple queue hands out, and returns what was still there once the removal is safe. It does not
// end with the caller's context: what is removed must reach somebody.
func (e *Engine[R]) take(channel string, found []Found[R], list []bachata.Envelope) ([]bachata.Envelope, error) {
	if err := e.enter(context.Background()); err != nil {
		return nil, err
	}
	if err := e.ready(context.Background(), commitBytes); err != nil {
		e.leave()
		return nil, err
	}
	left := e.book.DecideTake(channel, found, &e.ops)
	if err := e.commit(e.now(), true); err != nil {
		e.leave()
		return nil, err
	}
	ticket, _ := e.leave()
	if err := e.backend.Wait(context.Background(), ticket); err != nil {
		return nil, err
	}
	rest := list[:0]
	for _, env := range list {
		if len(left) > 0 && left[0].Seq == uint64(env.Cursor) {
			rest = append(rest, env)
			left = left[1:]
		}
	}
	return rest, nil
}

// Watch is bachata.Queue's.
func (e *Engine[R]) Watch(channel string, wake func(bachata.Wake)) (stop func(), err error) {
	if err := e.enter(context.Background()); err != nil {
		return nil, err
	}
	if err := e.backend.Err(); err != nil {
		e.leave()
		return nil, err
	}
	e.leave()
	return e.watchers.Add(channel, wake), nil
}

// WatchAll is bachata.AllWatcher's.
func (e *Engine[R]) WatchAll(find func(channel string) bachata.Watcher) (stop func(), err error) {
	if err := e.enter(context.Background()); err != nil {
		return nil, err
	}
	e.leave()
	if err := e.backend.Err(); err != nil {
		return nil, err
	}
	return e.watchers.AddAll(find), nil
}
