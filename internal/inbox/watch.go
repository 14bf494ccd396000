package inbox

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/bachata-go/bachata"
)

// Watchers keeps who is to be woken. It is safe for concurrent use and has locks of its own, which are never held
// while somebody is woken. The zero value is ready.
type Watchers struct {
	count  atomic.Int64
	few    atomic.Int64 // of count, those that watch one channel
	all    atomic.Pointer[[]*finder]
	allMu  sync.Mutex
	seed   maphash.Seed
	once   sync.Once
	shards [64]watchShard
}

type watchShard struct {
	mu       sync.RWMutex
	channels map[string][]*watcher // the slices are never changed, only replaced
}

type watcher struct{ wake func(bachata.Wake) }

// Add has wake called for channel until the returned function is called, which may happen more than once.
func (w *Watchers) Add(channel string, wake func(bachata.Wake)) (stop func()) {
	w.once.Do(func() { w.seed = maphash.MakeSeed() })
	me := &watcher{wake}
	s := w.shard(channel)
	s.mu.Lock()
	if s.channels == nil {
		s.channels = map[string][]*watcher{}
	}
	s.channels[channel] = append(append([]*watcher(nil), s.channels[channel]...), me)
	s.mu.Unlock()
	w.count.Add(1)
	w.few.Add(1)
	return sync.OnceFunc(func() {
		w.count.Add(-1)
		w.few.Add(-1)
		s.mu.Lock()
		defer s.mu.Unlock()
		var rest []*watcher
		for _, o := range s.channels[channel] {
			if o != me {
				rest = append(rest, o)
			}
		}
		if len(rest) == 0 {
			delete(s.channels, channel)
			return
		}
		s.channels[channel] = rest
	})
}

type finder struct {
	find func(channel string) bachata.Watcher
}

// AddAll has what find returns woken for every channel, until the returned function is called, which may happen more
// than once.
func (w *Watchers) AddAll(find func(channel string) bachata.Watcher) (stop func()) {
	me := &finder{find}
	change := func(with []*finder, delta int64) {
		w.allMu.Lock()
		defer w.allMu.Unlock()
		if old := w.all.Load(); old != nil {
			for _, o := range *old {
				if o != me {
					with = append(with, o)
				}
			}
		}
		w.all.Store(&with)
		w.count.Add(delta)
	}
	change([]*finder{me}, 1)
	return sync.OnceFunc(func() { change(nil, -1) })
}

// Any reports whether anybody watches anything.
func (w *Watchers) Any() bool { return w.count.Load() > 0 }

// Take offers a message to who watches all channels, and reports whether somebody took it.
func (w *Watchers) Take(ctx context.Context, channel string, payload []byte) bool {
	all := w.all.Load()
	if all == nil {
		return false
	}
	for _, o := range *all {
		if t, ok := o.find(channel).(bachata.Taker); ok && t.Take(ctx, payload) {
			return true
		}
	}
	return false
}

// Wake calls all that watch channel. build is called at most once, and only if there is one.
func (w *Watchers) Wake(channel string, build func() bachata.Wake) {
	if !w.Any() {
		return
	}
	var wake bachata.Wake
	made := false
	if all := w.all.Load(); all != nil {
		for _, o := range *all {
			found := o.find(channel)
			if found == nil {
				continue
			}
			if !made {
				wake, made = build(), true
			}
			found.Wake(wake)
		}
	}
	if w.few.Load() == 0 {
		return
	}
	s := w.shard(channel)
	s.mu.RLock()
	list := s.channels[channel]
	s.mu.RUnlock()
	for _, o := range list {
		if !made {
			wake, made = build(), true
		}
		o.wake(wake)
	}
}

func (w *Watchers) shard(channel string) *watchShard {
	return &w.shards[maphash.String(w.seed, channel)&63]
}
