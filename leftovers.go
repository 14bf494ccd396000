package bachata

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
)

// leftovers are messages of a simple queue that were handed out when no socket of their channel was there any more, or took
// them. Who connects next gets them, before what the queue holds.
type leftovers struct {
	channels atomic.Int64 // that have some
	mu       sync.Mutex
	lists    map[string][]Envelope
}

// keep adds what was handed out for channel last.
func (l *leftovers) keep(channel string, list []Envelope) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lists == nil {
		l.lists = make(map[string][]Envelope)
	}
	l.lists[channel] = append(l.lists[channel], list...)
	l.channels.Store(int64(len(l.lists)))
}

// holds reports whether something is left for channel.
func (l *leftovers) holds(channel string) bool {
	if l.channels.Load() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lists[channel]) > 0
}

// take returns what is left for channel, and leaves nothing.
func (l *leftovers) take(channel string) []Envelope {
	if l.channels.Load() == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.lists[channel]
	delete(l.lists, channel)
	l.channels.Store(int64(len(l.lists)))
	if len(list) > 0 {
		list[len(list)-1].Last = false // more may have come since
	}
	return list
}

// all takes all that is left.
func (l *leftovers) all() map[string][]Envelope {
	l.mu.Lock()
	defer l.mu.Unlock()
	lists := maps.Clone(l.lists)
	clear(l.lists)
	l.channels.Store(0)
	return lists
}

// giveBack sees to it that what was handed out for channel, and could be written to nobody, is handed out again. Where
// other nodes serve the same queue, they may be where its user is now: there it goes back, to the end.
func (c *Center) giveBack(channel string, list []Envelope) {
	if c.stopWatch == nil {
		c.putBack(context.Background(), map[string][]Envelope{channel: list})
		return
	}
	c.left.keep(channel, list)
}

// putLeftBack puts all that is left into the queue once more.
func (c *Center) putLeftBack(ctx context.Context) { c.putBack(ctx, c.left.all()) }

// putBack puts what was handed out for channels into the queue once more.
func (c *Center) putBack(ctx context.Context, lists map[string][]Envelope) {
	var items []Item
	for channel, list := range lists {
		for i := range list {
			if e := &list[i]; e.Kind == KindMessage {
				items = append(items, Item{Channels: []string{channel}, ID: e.ID, From: e.From, Dest: e.Dest, Payload: e.Payload})
			}
		}
	}
	if len(items) == 0 {
		return
	}
	results, err := c.queue.Put(ctx, items)
	lost := len(items)
	if err == nil {
		for _, r := range results {
			if _, refused := judge(r); refused != nil {
				err = refused
			} else {
				lost--
			}
		}
	}
	if lost > 0 {
		c.errors.write(c.log, "put back", "", "messages that were handed out are lost", "messages", lost, "error", err)
	}
}
