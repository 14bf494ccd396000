package inbox

import (
	"context"

	"github.com/bachata-go/bachata"
)

// wakeup is a channel whose inbox holds something new, other than messages.
type wakeup struct {
	channel  string
	receipts []bachata.Envelope // all that is new behind prev, if the store could say at once what they say
	prev     uint64
}

// woken adds to list what ops, which were applied, wake.
func woken(list []wakeup, ops []Op) []wakeup {
	add := func(channel string) {
		if n := len(list); n == 0 || list[n-1].channel != channel || list[n-1].receipts != nil {
			list = append(list, wakeup{channel: channel})
		}
	}
	var room []bachata.Envelope
	if len(list) == 0 && len(ops) == 1 && ops[0].said { // one piece of memory for both
		var one struct {
			list     [1]wakeup
			receipts [1]bachata.Envelope
		}
		list, room = one.list[:0], one.receipts[:0]
	}
	for i := range ops {
		switch op := &ops[i]; op.Kind {
		case OpRemove:
			switch {
			case op.Receipt == 0:
			case !op.said:
				add(op.Origin)
			default:
				if room == nil {
					room = make([]bachata.Envelope, 0, len(ops)-i)
				}
				room = append(room, bachata.Envelope{
					Cursor:  bachata.Cursor(op.Receipt),
					Kind:    bachata.KindReceipt,
					ID:      op.ID,
					From:    op.By,
					Dest:    op.Dest,
					Outcome: bachata.Outcome(op.Cause),
					Time:    op.Time,
				})
				list = follow(list, op, room)
			}
		case OpGap, OpReceipt:
			add(op.Channel)
		case OpPut:
			for _, t := range op.Put.Targets {
				if t.Full {
					add(op.Put.Origin)
				}
			}
		}
	}
	return list
}

// follow adds the receipt that op made, the last in room, to the last wake-up in list if it follows on that, else it adds a
// wake-up.
func follow(list []wakeup, op *Op, room []bachata.Envelope) []wakeup {
	end := len(room)
	if n := len(list); n > 0 {
		last := &list[n-1]
		// What came with an earlier commit is in other room.
		if k := len(last.receipts); k > 0 && k < end && last.channel == op.Origin &&
			&last.receipts[k-1] == &room[end-2] && uint64(room[end-2].Cursor) == op.prev {
			last.receipts = room[end-1-k : end : end]
			return list
		}
	}
	return append(list, wakeup{op.Origin, room[end-1 : end : end], op.prev})
}

// wakeUncaused wakes when no call waits for it.
func (e *Engine[R]) wakeUncaused(list []wakeup) {
	var nobody context.Context
	e.wake(nobody, list)
}

// wake wakes; cause is the context of the call that is the reason, if that call waits for it.
func (e *Engine[R]) wake(cause context.Context, list []wakeup) {
	for i := range list {
		w := &list[i]
		e.watchers.Wake(w.channel, func() bachata.Wake {
			return bachata.Wake{Cause: cause, Prev: bachata.Cursor(w.prev), Envelopes: w.receipts}
		})
	}
}
