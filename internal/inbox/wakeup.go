package inbox

import (
	"context"
	"sync"

	"github.com/bachata-go/bachata"
)

// wakeups are who is to be woken for something new other than messages. nil are none.
type wakeups struct {
	list []wakeup
	room []bachata.Envelope // what their wake-ups bring along
}

// wakeup is a channel whose inbox holds something new.
type wakeup struct {
	channel  string
	prev     uint64
	from, to int // all that is new behind prev, in the room; nothing if the store could not say at once what is
}

// add has channel woken to look.
func (w *wakeups) add(channel string) {
	if n := len(w.list); n == 0 || w.list[n-1].channel != channel || w.list[n-1].to > w.list[n-1].from {
		w.list = append(w.list, wakeup{channel: channel})
	}
}

// receipt has the origin of op woken by the receipt that op, which was applied, has made.
func (w *wakeups) receipt(op *Op) {
	end := len(w.room)
	w.room = append(w.room, bachata.Envelope{
		Cursor:  bachata.Cursor(op.Receipt),
		Kind:    bachata.KindReceipt,
		ID:      op.ID,
		From:    op.By,
		Dest:    op.Dest,
		Outcome: bachata.Outcome(op.Cause),
		Time:    op.Time,
	})
	if n := len(w.list); n > 0 {
		last := &w.list[n-1]
		if last.to == end && last.from < end && last.channel == op.Origin && uint64(w.room[end-1].Cursor) == op.prev {
			last.to++
			return
		}
	}
	w.list = append(w.list, wakeup{op.Origin, op.prev, end, end + 1})
}

// wakesFor notes whom ops, which were applied, wake. The lock is held.
func (e *Engine[R]) wakesFor(ops []Op) {
	for i := range ops {
		switch op := &ops[i]; op.Kind {
		case OpRemove:
			switch {
			case op.Receipt == 0:
			case op.said:
				e.wakes().receipt(op)
			default:
				e.wakes().add(op.Origin)
			}
		case OpGap, OpReceipt:
			e.wakes().add(op.Channel)
		case OpPut:
			for _, t := range op.Put.Targets {
				if t.Full {
					e.wakes().add(op.Put.Origin)
				}
			}
		}
	}
}

// wakes returns who is to be woken since the lock was taken, to add to. The lock is held.
func (e *Engine[R]) wakes() *wakeups {
	if e.woken == nil {
		e.woken = e.rooms.get()
	}
	return e.woken
}

// wakeRooms keeps wakeups to use again.
type wakeRooms struct{ sync.Pool }

func (r *wakeRooms) get() *wakeups {
	if w, ok := r.Get().(*wakeups); ok {
		return w
	}
	return new(wakeups)
}

// put takes w back, of which nobody reads anything any more.
func (r *wakeRooms) put(w *wakeups) {
	if cap(w.list) > 512 || cap(w.room) > 512 {
		return
	}
	clear(w.list)
	clear(w.room)
	w.list, w.room = w.list[:0], w.room[:0]
	r.Put(w)
}

// join returns what is in both. Neither is to be used any more.
func (r *wakeRooms) join(a, b *wakeups) *wakeups {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	at := len(a.room)
	a.room = append(a.room, b.room...)
	for _, w := range b.list {
		w.from, w.to = w.from+at, w.to+at
		a.list = append(a.list, w)
	}
	r.put(b)
	return a
}

// wakeUncaused wakes when no call waits for it.
func (e *Engine[R]) wakeUncaused(w *wakeups) {
	var nobody context.Context
	e.wake(nobody, w)
}

// wake wakes, which is the last that is done with w; cause is the context of the call that is the reason, if that call
// waits for it.
func (e *Engine[R]) wake(cause context.Context, w *wakeups) {
	if w == nil {
		return
	}
	for i := range w.list {
		one := &w.list[i]
		e.watchers.Wake(one.channel, func() bachata.Wake {
			return bachata.Wake{Cause: cause, Prev: bachata.Cursor(one.prev), Envelopes: w.room[one.from:one.to:one.to]}
		})
	}
	e.rooms.put(w)
}
