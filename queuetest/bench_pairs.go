package queuetest

import (
	"context"
	"fmt"
	"testing"
	"unsafe"

	"github.com/bachata-go/bachata"
)

// benchPairs are how many senders have a receiver each, and pairBarrier how many receipts leave an inbox at once, as the
// center lets them.
const (
	benchPairs  = 50
	pairBarrier = 256
)

// benchmarkPairs measures what the center has a queue do for a message from one of 50 senders to its receiver, batch
// messages at a time: put, brought along by the wake-up or fetched, confirmed; the receipts likewise, which leave when many
// have arrived. An operation is all that one message takes. A queue that need not be waited for after each call is
// waited for once for all pairs.
func benchmarkPairs(b *testing.B, backend Backend, batch int) {
	x := newBench(b, backend, nothing)
	p := newPairs(b, x, batch)
	b.ReportAllocs()
	b.ResetTimer()
	start := startCost()
	for left := b.N; left > 0; {
		n := min(left, benchPairs*batch)
		if err := p.round(n); err != nil {
			b.Fatal(err)
		}
		left -= n
	}
	start.end(b.N).report(b)
}

// pairs are the sessions of the benchmark.
type pairs struct {
	x     *bench
	calls bachata.Batch
	batch int
	next  int
	items []bachata.Item
	to    [benchPairs][]string // the channels of each pair's messages
	all   [benchPairs]struct{ sender, receiver *reader }
	byKey map[string]*reader
}

// reader is who reads an inbox on, as a session does.
type reader struct {
	channel string
	cursor  bachata.Cursor
	hints   []bachata.Envelope // what wake-ups brought
	behind  bool               // there may be more than that
	keys    []bachata.Key      // of what was read and has not left
}

func newPairs(b *testing.B, x *bench, batch int) *pairs {
	b.Helper()
	p := &pairs{x: x, batch: batch, calls: waited{x.q}, byKey: map[string]*reader{}}
	if q, ok := x.q.(bachata.Batcher); ok {
		p.calls = q.Batch()
	}
	for i := range p.all {
		p.all[i].sender = p.reader(fmt.Sprintf("a%04d", i))
		p.all[i].receiver = p.reader(fmt.Sprintf("b%04d", i))
		p.to[i] = []string{p.all[i].receiver.channel}
	}
	if err := p.watch(b); err != nil {
		b.Fatal(err)
	}
	return p
}

func (p *pairs) reader(channel string) *reader {
	r := &reader{channel: channel}
	p.byKey[channel] = r
	return r
}

// waited is the batch of a queue that has none.
type waited struct{ Queue }

func (waited) Wait(context.Context) error { return nil }

func (p *pairs) watch(b *testing.B) error {
	if q, ok := p.x.q.(bachata.AllWatcher); ok {
		stop, err := q.WatchAll(func(channel string) bachata.Watcher { return p.byKey[channel] })
		b.Cleanup(func() { stop() })
		return err
	}
	for _, r := range p.byKey {
		r.behind = true // who is watched one by one may be woken late: it reads in any case
	}
	return nil
}

// Wake is bachata.Watcher's.
func (r *reader) Wake(w bachata.Wake) {
	n := len(w.Envelopes)
	if n == 0 || r.behind || len(r.hints) > 0 || w.Prev != r.cursor {
		r.behind = true
		return
	}
	r.hints = append(r.hints, w.Envelopes...)
}

// read returns what is new to r.
func (p *pairs) read(r *reader, n int) error {
	_, all := p.x.q.(bachata.AllWatcher)
	envs := r.hints
	if r.hints = r.hints[:0]; r.behind {
		var err error
		if envs, err = p.x.q.Fetch(p.x.ctx, r.channel, r.cursor, bachata.Limit{Messages: 256, Bytes: 1 << 20}); err != nil {
			return err
		}
		r.behind = !all
	}
	if len(envs) != n {
		return fmt.Errorf("%d new in the inbox of %s, want %d", len(envs), r.channel, n)
	}
	for i := range envs {
		r.keys = append(r.keys, bachata.Key{Cursor: envs[i].Cursor})
	}
	r.cursor = envs[n-1].Cursor
	return nil
}

// pop takes off what r has read.
func (p *pairs) pop(r *reader) error {
	popped, err := p.calls.PopDelivered(p.x.ctx, r.channel, r.channel, r.keys)
	if err != nil {
		return err
	}
	for i := range popped {
		if !popped[i].Found {
			return fmt.Errorf("%+v is not in the inbox of %s", r.keys[i], r.channel)
		}
	}
	r.keys = r.keys[:0]
	return nil
}

// round lets each pair, one after the other, exchange a batch, the last a part of one, until n messages are.
func (p *pairs) round(n int) error {
	steps := []func(i, n int) error{
		p.put,
		func(i, n int) error { return p.read(p.all[i].receiver, n) },
		func(i, _ int) error { return p.pop(p.all[i].receiver) },
		func(i, n int) error { return p.read(p.all[i].sender, n) },
		func(i, _ int) error {
			if len(p.all[i].sender.keys) < pairBarrier {
				return nil
			}
			return p.pop(p.all[i].sender)
		},
	}
	for _, step := range steps {
		for i, left := 0, n; left > 0; i++ {
			some := min(left, p.batch)
			if err := step(i, some); err != nil {
				return err
			}
			left -= some
		}
		if err := p.calls.Wait(p.x.ctx); err != nil {
			return err
		}
	}
	return nil
}

// put puts n messages of pair i.
func (p *pairs) put(i, n int) error {
	p.items = p.items[:0]
	for range n {
		p.items = append(p.items, p.item(i))
	}
	results, err := p.calls.Put(p.x.ctx, p.items)
	if err != nil {
		return err
	}
	for _, res := range results {
		if res[0] != bachata.Stored {
			return fmt.Errorf("a message of %s was answered %v", p.all[i].sender.channel, res[0])
		}
	}
	return nil
}

const pairText = `{"id":"0000000000000000","type":"direct","dest":"b0000","data":{"text":"Are you coming? We start at eight."},"from":"a0000"}`

// item is a message whose texts are parts of its payload, as the center decodes it: one piece of memory.
func (p *pairs) item(i int) bachata.Item {
	const idAt, idEnd = 7, 7 + 16
	payload := []byte(pairText)
	id := payload[idAt:idEnd]
	p.next++
	for n, at := p.next, len(id)-1; n > 0; n, at = n>>4, at-1 {
		id[at] = "0123456789abcdef"[n&15]
	}
	from, to := p.all[i].sender.channel, p.all[i].receiver.channel
	return bachata.Item{
		Channels: p.to[i], ID: bachata.StringID(unsafe.String(unsafe.SliceData(id), len(id))),
		Origin: from, From: from, Dest: to, Payload: payload,
	}
}
