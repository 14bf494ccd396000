package queuetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/bachata-go/bachata"
)

// batched is a queue of which every call is one of a batch, or several: one for each item, one for each key.
type batched struct{ Queue }

func (q batched) Put(ctx context.Context, items []bachata.Item) ([]bachata.PutResult, error) {
	batch := q.Queue.(bachata.Batcher).Batch()
	results := make([]bachata.PutResult, len(items))
	var failed error
	for i := range items {
		results[i] = make(bachata.PutResult, len(items[i].Channels))
		if failed != nil {
			continue
		}
		var res []bachata.PutResult
		if res, failed = batch.Put(ctx, items[i:i+1]); failed == nil {
			results[i] = res[0]
		}
	}
	return results, errors.Join(failed, batch.Wait(ctx))
}

func (q batched) PopDelivered(ctx context.Context, channel, by string, keys []bachata.Key) ([]bachata.Popped, error) {
	batch := q.Queue.(bachata.Batcher).Batch()
	popped := make([]bachata.Popped, len(keys))
	var failed error
	for i := range keys {
		res, err := batch.PopDelivered(ctx, channel, by, keys[i:i+1])
		if failed = errors.Join(failed, err); len(res) == 1 {
			popped[i] = res[0]
		}
	}
	return popped, errors.Join(failed, batch.Wait(ctx))
}

// batches returns the backend whose queues are batched, and whether there is one: if its queues are Batchers.
func (b Backend) batches(t *testing.T) (Backend, bool) {
	t.Helper()
	q, err := b.New(t, bachata.QueueOptions{Simple: b.modes()[0] == bachata.Simple}).Open()
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	defer q.Close()
	if _, ok := q.(bachata.Batcher); !ok {
		return b, false
	}
	inner := b.New
	b.New = func(t testing.TB, o bachata.QueueOptions) *Store {
		store := inner(t, o)
		open := store.Open
		store.Open = func() (Queue, error) {
			q, err := open()
			if err != nil {
				return nil, err
			}
			return batched{q}, nil
		}
		return store
	}
	return b, true
}

// batch returns a new batch of the queue's.
func (x *fixture) batch() bachata.Batch { return x.q.(bachata.Batcher).Batch() }

// puts puts items by a call of the batch.
func (x *fixture) puts(batch bachata.Batch, want bachata.PutStatus, items ...bachata.Item) {
	x.Helper()
	results, err := batch.Put(x.ctx, items)
	x.mustHold(err, "Put of a batch")
	for i, result := range results {
		for _, status := range result {
			if status != want {
				x.broken("Put of a batch answered %v for %s, want %v", status, items[i].ID, want)
			}
		}
	}
}

// batchClauses are held by queues that are Batchers, besides all others, which are checked by way of batches once more.
func batchClauses() []clause {
	return []clause{
		{
			name: "batch/together", mode: reliableMode, needs: needBatch,
			text: "the calls of a batch do what those of the queue do, one after the other",
			run: func(x *fixture) {
				x.stored(message("0", "bob"))
				batch := x.batch()
				x.puts(batch, bachata.Stored, message("1", "bob"), message("2", "bob", "eve"))
				x.puts(batch, bachata.Duplicate, message("1", "bob"))
				popped, err := batch.PopDelivered(x.ctx, "bob", "bob", []bachata.Key{byID("0"), byID("9")})
				x.mustHold(err, "PopDelivered of a batch")
				if len(popped) != 2 || !popped[0].Found || popped[1].Found {
					x.broken("PopDelivered of a batch answered %v, want the first to be found", popped)
				}
				x.mustHold(batch.Wait(x.ctx), "Wait")
				x.holds("bob", `"1"`, `"2"`)
				x.holds("eve", `"2"`)
				x.holds("anna", `300 "0" from bob dest bob`)
			},
		}, {
			name: "batch/again", mode: bothModes, needs: needBatch,
			text: "a batch is empty again after Wait, which an empty one needs not",
			run: func(x *fixture) {
				batch := x.batch()
				x.mustHold(batch.Wait(x.ctx), "Wait of an empty batch")
				for _, id := range []string{"1", "2", "3"} {
					x.puts(batch, bachata.Stored, message(id, "bob"))
					x.mustHold(batch.Wait(x.ctx), "Wait")
				}
				x.mustHold(batch.Wait(x.ctx), "Wait of an empty batch")
				if got := len(x.fetch("bob")); got != 3 {
					x.broken("%d of 3 messages are there after three batches", got)
				}
			},
		}, {
			name: "batch/wake", mode: bothModes, needs: needBatch,
			text: "nobody is woken before Wait, and the context of Wait is the Cause",
			run: func(x *fixture) {
				var count, other atomic.Int64
				ctx, cancel := context.WithCancel(x.ctx)
				defer cancel()
				x.watch("bob", func(w bachata.Wake) {
					if count.Add(1); w.Cause != nil && w.Cause != ctx {
						other.Add(1)
					}
				})
				batch := x.batch()
				x.puts(batch, bachata.Stored, message("1", "bob"))
				if n := count.Load(); n > 0 {
					x.broken("%d wake-ups before Wait", n)
				}
				x.mustHold(batch.Wait(ctx), "Wait")
				x.wakes("Wait", &count, func() {
					x.puts(batch, bachata.Stored, message(x.nextID(), "bob"))
					x.mustHold(batch.Wait(ctx), "Wait")
				})
				if n := other.Load(); n > 0 {
					x.broken("%d wake-ups name another context than that of Wait", n)
				}
			},
		}, {
			name: "batch/crash", mode: reliableMode, needs: needBatch | needCrash,
			text: "what a batch has put and popped is there after a crash once Wait has returned",
			run: func(x *fixture) {
				x.stored(message("0", "bob"))
				batch := x.batch()
				x.puts(batch, bachata.Stored, message("1", "bob"), message("2", "bob"))
				_, err := batch.PopDelivered(x.ctx, "bob", "bob", []bachata.Key{byID("0")})
				x.mustHold(err, "PopDelivered of a batch")
				x.mustHold(batch.Wait(x.ctx), "Wait")
				x.crash()
				x.holds("bob", `"1"`, `"2"`)
				x.holds("anna", `300 "0" from bob dest bob`)
			},
		},
	}
}
