package queuetest

import (
	"context"
	"slices"

	"github.com/bachata-go/bachata"
)

// mutant is a queue with one mistake. The suite is worth something if it finds each of them.
type mutant struct {
	Queue
	put   func(q Queue, items []bachata.Item) ([]bachata.PutResult, error)
	fetch func(q Queue, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error)
	pop   func(q Queue, channel, by string, keys []bachata.Key) ([]bachata.Popped, error)
	check func(q Queue, channel string, key bachata.Key) (bool, error)
	watch func(q Queue, channel string, wake func(bachata.Wake)) (func(), error)
	close func(q Queue) error
}

func (m *mutant) Put(ctx context.Context, items []bachata.Item) ([]bachata.PutResult, error) {
	if m.put == nil {
		return m.Queue.Put(ctx, items)
	}
	return m.put(m.Queue, slices.Clone(items))
}

func (m *mutant) Fetch(ctx context.Context, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
	if m.fetch == nil {
		return m.Queue.Fetch(ctx, channel, after, limit)
	}
	return m.fetch(m.Queue, channel, after, limit)
}

func (m *mutant) PopDelivered(ctx context.Context, channel, by string, keys []bachata.Key) ([]bachata.Popped, error) {
	if m.pop == nil {
		return m.Queue.PopDelivered(ctx, channel, by, keys)
	}
	return m.pop(m.Queue, channel, by, slices.Clone(keys))
}

func (m *mutant) CheckDelivered(ctx context.Context, channel string, key bachata.Key) (bool, error) {
	if m.check == nil {
		return m.Queue.CheckDelivered(ctx, channel, key)
	}
	return m.check(m.Queue, channel, key)
}

func (m *mutant) Watch(channel string, wake func(bachata.Wake)) (func(), error) {
	if m.watch == nil {
		return m.Queue.Watch(channel, wake)
	}
	return m.watch(m.Queue, channel, wake)
}

func (m *mutant) Close() error {
	if m.close == nil {
		return m.Queue.Close()
	}
	return m.close(m.Queue)
}

var background = context.Background()

// eachItem is a Put that changes its items first.
func eachItem(change func(m *bachata.Item)) mutant {
	return mutant{put: func(q Queue, items []bachata.Item) ([]bachata.PutResult, error) {
		for i := range items {
			change(&items[i])
		}
		return q.Put(background, items)
	}}
}

// eachKey is a PopDelivered that changes its keys first.
func eachKey(change func(k *bachata.Key)) mutant {
	return mutant{pop: func(q Queue, channel, by string, keys []bachata.Key) ([]bachata.Popped, error) {
		for i := range keys {
			change(&keys[i])
		}
		return q.PopDelivered(background, channel, by, keys)
	}}
}

// eachEnvelope is a Fetch that changes what it returns; false leaves an envelope out.
func eachEnvelope(change func(e *bachata.Envelope) bool) mutant {
	return mutant{fetch: func(q Queue, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
		envs, err := q.Fetch(background, channel, after, limit)
		var all []bachata.Envelope
		for _, e := range envs {
			if change(&e) {
				all = append(all, e)
			}
		}
		return all, err
	}}
}

// eachAnswer is a Put that gives one answer for another.
func eachAnswer(from, to bachata.PutStatus) mutant {
	return mutant{put: func(q Queue, items []bachata.Item) ([]bachata.PutResult, error) {
		res, err := q.Put(background, items)
		for _, r := range res {
			for i := range r {
				if r[i] == from {
					r[i] = to
				}
			}
		}
		return res, err
	}}
}

// eachPop is a PopDelivered that changes its answers.
func eachPop(change func(p *bachata.Popped)) func() mutant {
	return func() mutant {
		return mutant{pop: func(q Queue, channel, by string, keys []bachata.Key) ([]bachata.Popped, error) {
			res, err := q.PopDelivered(background, channel, by, keys)
			for i := range res {
				change(&res[i])
			}
			return res, err
		}}
	}
}

// checked is a CheckDelivered that always says the same.
func checked(answer bool) func() mutant {
	return func() mutant {
		return mutant{check: func(Queue, string, bachata.Key) (bool, error) { return answer, nil }}
	}
}

// fetched is a Fetch that changes what it is asked for.
func fetched(change func(after *bachata.Cursor, limit *bachata.Limit)) func() mutant {
	return func() mutant {
		return mutant{fetch: func(q Queue, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
			change(&after, &limit)
			return q.Fetch(background, channel, after, limit)
		}}
	}
}

// watched is a Watch with another wake.
func watched(change func(wake func(bachata.Wake)) func(bachata.Wake)) func() mutant {
	return func() mutant {
		return mutant{watch: func(q Queue, channel string, wake func(bachata.Wake)) (func(), error) {
			return q.Watch(channel, change(wake))
		}}
	}
}

// lostMessage answers Stored to one message that it has not put.
func lostMessage() mutant {
	n := 0
	return mutant{put: func(q Queue, items []bachata.Item) ([]bachata.PutResult, error) {
		if n += len(items); n < 30 || n >= 30+len(items) || len(items) > 1 {
			return q.Put(background, items)
		}
		return []bachata.PutResult{slices.Repeat(bachata.PutResult{bachata.Stored}, len(items[0].Channels))}, nil
	}}
}

// noRepeats takes off again what a duplicate has put into the inbox of its origin.
func noRepeats() mutant {
	return mutant{put: func(q Queue, items []bachata.Item) ([]bachata.PutResult, error) {
		res, err := q.Put(background, items)
		for i, r := range res {
			if err == nil && slices.Contains(r, bachata.Duplicate) {
				envs, _ := q.Fetch(background, items[i].Origin, 0, bachata.Limit{})
				for _, e := range envs {
					if e.Kind == bachata.KindReceipt && e.ID.Text == items[i].ID.Text {
						_, _ = q.PopDelivered(background, items[i].Origin, "", []bachata.Key{{Cursor: e.Cursor}})
					}
				}
			}
		}
		return res, err
	}}
}

// sameBuffer hands out all payloads in one buffer.
func sameBuffer() mutant {
	var buffer []byte
	return mutant{fetch: func(q Queue, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
		envs, err := q.Fetch(background, channel, after, limit)
		for i := range envs {
			buffer = append(buffer[:0], envs[i].Payload...)
			envs[i].Payload = buffer
		}
		return envs, err
	}}
}
