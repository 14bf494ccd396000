package inbox

import (
	"context"

	"github.com/bachata-go/bachata"
)

// batch is a bachata.Batch.
type batch[R comparable] struct {
	e      *Engine[R]
	leads  bool   // it may be waited for as long as the store takes, whatever becomes of the context
	ticket uint64 // 0: there is nothing to wait for
	news   news
	puts   *puts // whose messages are in news
	more   []*puts
}

// Batch is bachata.Batcher's.
func (e *Engine[R]) Batch() bachata.Batch { return &batch[R]{e: e, leads: true} }

// Put is bachata.Batch's.
func (b *batch[R]) Put(ctx context.Context, items []bachata.Item) ([]bachata.PutResult, error) {
	e := b.e
	results := newResults(items)
	kept := e.puts.Get().(*puts)
	messages := kept.room(len(items))
	for i := range items {
		e.book.setMessage(messages[i], e.keyer, &items[i])
	}
	if err := e.enter(ctx); err != nil {
		return results, err
	}
	e.book.Expect(messages)
	now := e.now()
	var failed error
	wait := false
	for i, m := range messages {
		m.Time = now
		if failed = e.ready(ctx, m.Size+commitBytes); failed == nil {
			failed = e.put(ctx, m, items[i].Channels, now, results[i])
		}
		if failed != nil {
			clear(results[i])
			messages = messages[:i]
			break
		}
		for _, status := range results[i] {
			wait = wait || status != bachata.Full
		}
	}
	ticket, woken := e.leaveLater()
	b.news.woken = e.rooms.join(b.news.woken, woken)
	if wait || woken != nil { // what has expired wakes too
		b.ticket = ticket
	}
	if failed != nil && len(messages) == 0 {
		return results, failed
	}
	if len(b.news.messages) == 0 { // as usual
		b.news.messages = messages[:len(messages):len(messages)]
	} else {
		b.news.messages = append(b.news.messages, messages...)
	}
	if b.puts == nil {
		b.puts = kept
	} else {
		b.more = append(b.more, kept)
	}
	return results, nil
}

// Wait is bachata.Batch's.
func (b *batch[R]) Wait(ctx context.Context) error {
	if b.leads && b.ticket != 0 && ctx.Err() == nil {
		b.e.backend.Lead(b.ticket)
	}
	err := b.e.settle(ctx, b.ticket, b.news)
	if err == nil { // else somebody may still be woken: their messages are not used again
		b.puts.release(&b.e.puts)
		for _, p := range b.more {
			p.release(&b.e.puts)
		}
	}
	b.ticket, b.news, b.puts = 0, news{}, nil
	clear(b.more)
	b.more = b.more[:0]
	return err
}
