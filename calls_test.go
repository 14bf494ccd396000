package bachata_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

// callCounter is the memory queue with its calls counted.
type callCounter struct {
	*memory.Queue
	puts, items, pops, fetches atomic.Int64
}

func (q *callCounter) Put(ctx context.Context, items []bachata.Item) ([]bachata.PutResult, error) {
	q.puts.Add(1)
	q.items.Add(int64(len(items)))
	return q.Queue.Put(ctx, items)
}

func (q *callCounter) PopDelivered(ctx context.Context, channel, by string, keys []bachata.Key) ([]bachata.Popped, error) {
	q.pops.Add(1)
	return q.Queue.PopDelivered(ctx, channel, by, keys)
}

func (q *callCounter) Fetch(ctx context.Context, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
	q.fetches.Add(1)
	return q.Queue.Fetch(ctx, channel, after, limit)
}

// calls are what a queue was asked for.
type calls struct{ puts, items, pops, fetches int64 }

// taken returns what was counted since it was called last.
func (q *callCounter) taken() calls {
	return calls{q.puts.Swap(0), q.items.Swap(0), q.pops.Swap(0), q.fetches.Swap(0)}
}

// What one read brings makes one call of each kind, and nothing is read back for a socket that has all that came before: not
// the messages, nor the receipts, nor one message to many.
func TestCallsOfTheQueue(t *testing.T) {
	t.Parallel()
	const n = 50
	wrap := func(inner bachata.Queue) *callCounter { return &callCounter{Queue: inner.(*memory.Queue)} }
	bubbleIn(t, nil, nil, wrap, func(t *testing.T, c *bachata.Center, q *callCounter) {
		want := func(what string, want calls) {
			t.Helper()
			synctest.Wait()
			if got := q.taken(); got != want {
				t.Errorf("%s: %+v, want %+v", what, got, want)
			}
		}
		var names []string
		for i := range n {
			names = append(names, fmt.Sprint("member", i))
		}
		if err := c.AddRoute(bachata.Group(func(context.Context, string, *bachata.Session) ([]string, error) {
			return names, nil
		}, "group")); err != nil {
			t.Fatal(err)
		}
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		var members []*peer
		for _, name := range names {
			members = append(members, connect(t, c, name))
		}
		synctest.Wait()
		q.taken()

		var messages, confirms, at []string
		for i := range n {
			messages = append(messages, fmt.Sprintf(`{"id":%d,"type":"direct","dest":"bob"}`, i))
			at = append(at, fmt.Sprintf(`{"id":%d,"type":"direct","dest":"bob","from":"anna"}`, i))
			confirms = append(confirms, fmt.Sprintf(`{"type":200,"data":%d}`, i))
		}
		anna.send(messages...)
		want("messages of one read", calls{puts: 1, items: n})
		bob.expect(at...)
		bob.send(confirms...)
		want("200s of one read", calls{pops: 1})
		if got := anna.take(); len(got) != 2*n {
			t.Errorf("anna got %d answers and receipts, want %d", len(got), 2*n)
		}
		bob.send(slices.Concat(messages, []string{`{"id":"g","type":"group","dest":"all"}`})...)
		want("messages to oneself and to many", calls{puts: 1, items: n + 1})
		for _, p := range members {
			p.expect(`{"id":"g","type":"group","dest":"all","from":"bob"}`)
		}
	})
}
