package redis

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
)

// poller ticks when the lists of watched channels have to be looked at: only where nodes of the original push to them.
func (w *watcher) poller() *time.Ticker {
	t := time.NewTicker(w.q.options.PollEvery)
	if !w.q.options.Shared {
		t.Stop()
	}
	return t
}

func (w *watcher) poll() { w.lengths(w.all()) }

// lengths asks how long the lists of inboxes are and wakes who watches those in which something may be new: nodes of the
// original publish nothing.
func (w *watcher) lengths(list []*subscription) {
	for len(list) > 0 {
		part := list[:min(atOnce, len(list))]
		list = list[len(part):]
		commands := make([]rueidis.Completed, 0, 2*len(part))
		for _, s := range part {
			commands = append(commands, w.q.client.B().Llen().Key(s.list).Build(), w.q.client.B().Llen().Key(s.list+":wait").Build())
		}
		ctx, cancel := context.WithTimeout(w.q.ctx, w.q.options.Timeout)
		replies := w.q.client.DoMulti(ctx, commands...)
		cancel()
		for i, s := range part {
			fresh, err := replies[2*i].AsInt64()
			if err != nil {
				continue // another time
			}
			// What one of their sockets took is in the wait list, also if that socket has just gone.
			handed, _ := replies[2*i+1].AsInt64()
			if changed := w.saw(s, uint64(handed)); changed || fresh > 0 {
				w.wake(s)
			}
		}
	}
}

// isObject reports whether a text is a JSON object, as all messages and receipts of the original are.
func isObject(text string) bool {
	return strings.HasPrefix(text, "{") && json.Valid([]byte(text))
}

// asReceipt makes a receipt of a text that is one: what the original pushes for a sender, and we for senders whose socket
// may be at one of its nodes.
func asReceipt(e *bachata.Envelope) {
	var t struct {
		Type json.RawMessage
		Data json.RawMessage
		From string
		Dest string
		Time int64
	}
	if json.Unmarshal(e.Payload, &t) != nil || len(t.Data) == 0 {
		return
	}
	switch string(t.Type) {
	case "300":
		e.Outcome = bachata.OutcomeDelivered
	case "480":
		e.Outcome = bachata.OutcomeExpired
	case "481":
		e.Outcome = bachata.OutcomeDropped
	default:
		return
	}
	id := bachata.ID{Text: string(t.Data), Number: true}
	if t.Data[0] == '"' {
		id.Number = false
		if json.Unmarshal(t.Data, &id.Text) != nil {
			return
		}
	}
	e.Kind, e.ID, e.From, e.Dest, e.Time, e.Payload = bachata.KindReceipt, id, t.From, t.Dest, t.Time, nil
}
