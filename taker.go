package bachata

import "context"

// Take is called by a simple queue in this process when something is put and nothing waits before it. What nobody reads is
// left to the queue, and so is what might overtake what is just being handed out.
func (h *hub) Take(ctx context.Context, payload []byte) bool {
	by, ok := ctx.(*cause)
	if !ok || !by.keeps || len(payload) == 0 || by.center != h.center || by.center.draining.Load() {
		return false
	}
	if !h.reads() || h.center.left.holds(h.channel) || !h.simple.state.CompareAndSwap(runnerIdle, runnerRunning) {
		return false
	}
	if !h.hold() { // it was given up, and its runner runs nothing any more
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

// serve hands out what was taken, and then what came meanwhile.
func (h *hub) serve(taken []byte, d *delivery) {
	defer h.release()
	h.hand(taken, d)
	if h.simple.again() {
		h.simple.run(h, d)
	}
}

// hand writes what was taken. Take has held h, so that who came meanwhile is of it, and is handed nothing later before.
func (h *hub) hand(payload []byte, d *delivery) {
	var room [2]*Session
	written := false
	for _, s := range h.list(room[:0]) {
		written = s.writeTaken(payload, d) || written
	}
	if !written { // they are gone, or going: who comes next has it handed out
		h.center.giveBack(h.channel, []Envelope{{Payload: payload}})
	}
}
