package bachata

import "context"

// Take is called by a simple queue in this process when something is put and nothing waits before it. What nobody reads is
// left to the queue, and so is what might overtake what is just being handed out.
func (h *hub) Take(ctx context.Context, payload []byte) bool {
	by, ok := ctx.(*cause)
	if !ok || !by.keeps || len(payload) == 0 || by.center != h.center || by.center.draining.Load() || !h.reads() || by.center.left.holds(h.channel) ||
		!h.simple.state.CompareAndSwap(runnerIdle, runnerRunning) {
		return false
	}
	by.woken = append(by.woken, woken{&h.simple, h, payload})
	return true
}

// reads reports whether a session takes what it is given, and its client reads it.
func (h *hub) reads() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := h.first; s != nil; s = s.next {
		if s.isReady() && s.backlog() < mostBacklog {
			return true
		}
	}
	return false
}

// hand writes what was taken.
func (h *hub) hand(payload []byte, d *delivery) {
	var room [2]*Session
	written := false
	for _, s := range h.list(room[:0]) {
		written = s.writeTaken(payload, d) || written
	}
	if !written { // they are gone, or going
		h.center.left.keep(h.channel, []Envelope{{Payload: payload}})
		if h := h.center.hubOf(h.channel); h != nil {
			h.simple.kick(h.center, h)
		}
	}
}
