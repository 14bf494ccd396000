package checker

import (
	"container/heap"

	"github.com/bachata-go/bachata/internal/faults/history"
)

// checkWindow judges I7. A client sees less outstanding than the server does: what it has not read yet is missing, and
// what it has confirmed is gone at once. So what is too much here was too much there.
func (r *run) checkWindow() {
	for _, c := range r.clients {
		for _, conn := range c.conns {
			r.checkWindowOf(c, conn)
		}
	}
	for _, s := range r.servers {
		for _, e := range s.Events {
			if e.Kind == history.Memory && r.options.MemoryBytes > 0 && e.Size > r.options.MemoryBytes {
				r.violate("I7", &client{History: s}, 0, key{}, "the server holds %d bytes of memory, the bound is %d", e.Size, r.options.MemoryBytes)
			}
		}
	}
}

func (r *run) checkWindowOf(c *client, conn *conn) {
	var open confirms
	bytes := 0
	for _, w := range conn.written {
		for len(open) > 0 && open[0].at <= w.at {
			bytes -= heap.Pop(&open).(confirm).size
		}
		m := r.messages[w.key]
		if m == nil || w.key.id == "" {
			continue
		}
		if o, told := m.told[c.Channel]; told && o.code != codeDelivered {
			continue // it left by itself, nobody here knows when
		}
		at, confirmed := m.confirmed[c.Channel]
		if !confirmed {
			at = never
		} else if at <= w.at {
			continue // by another connection; it no longer counts
		}
		heap.Push(&open, confirm{at: at, size: w.size})
		bytes += w.size
		if limit := r.options.WindowMessages; limit > 0 && len(open) > limit {
			r.violate("I7", c, conn.number, w.key, "%d messages outstanding, the window is %d", len(open), limit)
			return
		}
		if limit := r.options.WindowBytes; limit > 0 && bytes > limit && len(open) > 1 {
			r.violate("I7", c, conn.number, w.key, "%d bytes outstanding in %d messages, the window is %d bytes", bytes, len(open), limit)
			return
		}
	}
}

// confirm is when a message that was written will leave the window.
type confirm struct {
	at   int64
	size int
}

// confirms is a heap, the earliest first.
type confirms []confirm

func (h confirms) Len() int           { return len(h) }
func (h confirms) Less(i, j int) bool { return h[i].at < h[j].at }
func (h confirms) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push appends x.
func (h *confirms) Push(x any) { *h = append(*h, x.(confirm)) }

// Pop takes the last.
func (h *confirms) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
