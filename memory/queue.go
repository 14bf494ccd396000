// Package memory is a bachata.Queue in the memory of the process: what it has accepted ends with the process. It is for
// tests, for trying out, and for where losing undelivered messages at a restart is fine.
package memory

import (
	"context"
	"fmt"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
)

// Options configure a Queue; the zero value is useful.
type Options = bachata.QueueOptions

// Queue is a bachata.Queue in memory. All methods may be called concurrently; none waits for I/O. A message costs about
// 250 bytes besides its strings and its payload, which are kept as they were given.
type Queue struct {
	engine *inbox.Engine[*stored]
	simple bool
	err    error
}

var (
	_ bachata.Queue      = (*Queue)(nil)
	_ bachata.AllWatcher = (*Queue)(nil)
)

// New makes an empty queue; nil stands for the zero Options. Options that are out of bounds make a queue of which
// every method returns an error that names the field and its limit.
func New(o *Options) *Queue {
	if o == nil {
		o = &Options{}
	}
	limits, err := inbox.Resolve(*o)
	if err != nil {
		return &Queue{err: fmt.Errorf("memory: %w", err)}
	}
	s := new(store)
	book := inbox.New(limits, inbox.Store[*stored]{Notice: s.notice, Say: say, Drop: s.drop, Inside: true})
	return &Queue{engine: inbox.NewEngine(limits, book, s, inbox.NewSeeds()), simple: o.Simple}
}

// Put is bachata.Queue's.
func (q *Queue) Put(ctx context.Context, items []bachata.Item) ([]bachata.PutResult, error) {
	if q.err != nil {
		return nil, q.err
	}
	return q.engine.Put(ctx, items)
}

// Fetch is bachata.Queue's.
func (q *Queue) Fetch(ctx context.Context, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
	if q.err != nil {
		return nil, q.err
	}
	return q.engine.Fetch(ctx, channel, after, limit)
}

// Watch is bachata.Queue's.
func (q *Queue) Watch(channel string, wake func(bachata.Wake)) (stop func(), err error) {
	if q.err != nil {
		return nil, q.err
	}
	return q.engine.Watch(channel, wake)
}

// WatchAll is bachata.AllWatcher's.
func (q *Queue) WatchAll(find func(channel string) bachata.Watcher) (stop func(), err error) {
	if q.err != nil {
		return nil, q.err
	}
	return q.engine.WatchAll(find)
}

// PopDelivered is bachata.Queue's.
func (q *Queue) PopDelivered(ctx context.Context, channel, by string, keys []bachata.Key) ([]bachata.Popped, error) {
	if q.err != nil {
		return nil, q.err
	}
	return q.engine.PopDelivered(ctx, channel, by, keys)
}

// CheckDelivered is bachata.Queue's.
func (q *Queue) CheckDelivered(ctx context.Context, channel string, key bachata.Key) (bool, error) {
	if q.err != nil {
		return false, q.err
	}
	return q.engine.CheckDelivered(ctx, channel, key)
}

// Info is bachata.Queue's.
func (q *Queue) Info() bachata.Info {
	info := bachata.Info{Name: "memory", Level: "kept in memory: lost when this process ends", Atomic: true, Immediate: true}
	if q.err != nil {
		return info
	}
	info.Dedupe = q.engine.Window()
	if q.simple {
		info.Mode = bachata.Simple
	}
	return info
}

// Close ends the queue and forgets what it held. It may be called twice.
func (q *Queue) Close() error {
	if q.err == nil {
		q.engine.Shut()
		q.engine.Done()
	}
	return nil
}
