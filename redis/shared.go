package redis

import (
	"encoding/json"
	"time"
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

func (w *watcher) lengths(list []*subscription) {}

// isObject reports whether a text is a JSON object, as all messages and receipts of the original are.
func isObject(text string) bool {
	return len(text) > 1 && text[0] == '{' && json.Valid([]byte(text))
}
