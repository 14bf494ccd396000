package bachata

import (
	"context"
	"slices"
	"strconv"
)

// appendPingLocked appends the barrier to frames if it is due: one ping is in flight at a time, sent a while after the
// first frame that nobody else proves, or at once when there are many, or the pump has stopped at a full window, or while
// draining.
func (s *Session) appendPingLocked(frames []byte) []byte {
	if s.unproven == 0 || s.inFlight {
		return frames
	}
	if !s.pingDue && s.unproven < barrierFrames && !s.stalled && !s.center.draining.Load() {
		if s.pingTimer == nil {
			s.pingTimer = s.center.after(s.center.options.BarrierDelay, func(context.Context) { s.pingTime() })
		}
		return frames
	}
	if s.pingTimer != nil {
		s.pingTimer.Stop()
		s.pingTimer = nil
	}
	s.pingDue, s.inFlight, s.unproven = false, true, 0
	s.pingSent++
	return s.socket.(Barrier).AppendPing(frames, strconv.AppendUint(make([]byte, 0, 20), s.pingSent, 10))
}

func (s *Session) pingTime() {
	s.mu.Lock()
	if s.closed || s.pingTimer == nil {
		s.mu.Unlock()
		return
	}
	s.pingTimer = nil
	s.pingDue, s.chores = true, true
	s.mu.Unlock()
	s.pump.kick(s.center, s)
}

// pingIfDue writes the barrier when no frame carries it.
func (s *Session) pingIfDue() {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	var frames []byte
	if !s.closed {
		frames = s.appendPingLocked(nil)
	}
	s.mu.Unlock()
	if len(frames) > 0 {
		s.writeLocked(frames)
	}
}

// Pong tells the session that the answer to a ping came back: everything written before that ping has arrived. A pong
// that answers no ping of the session's is ignored. It may block, and is called by the goroutine that calls Receive.
func (s *Session) Pong(payload []byte) {
	keys := s.prove(nil, payload)
	if len(keys) == 0 {
		return
	}
	if b := s.begin(nil, keys, nil); b != nil {
		b.end()
	}
}

// prove does what Pong does but for popping: it appends to keys what is to be popped.
func (s *Session) prove(keys []Key, payload []byte) []Key {
	counter, err := strconv.ParseUint(string(payload), 10, 64)
	s.mu.Lock()
	if err != nil || s.closed || !s.inFlight || counter != s.pingSent {
		s.mu.Unlock()
		return keys
	}
	s.inFlight = false
	keys = slices.Grow(keys, min(s.window.messages, barrierFrames))
	s.window.each(waiting, func(w *written) {
		if w.id == 0 && w.proof <= counter {
			w.state = confirming
			keys = append(keys, Key{Cursor: w.cursor})
		}
	})
	s.mu.Unlock()
	s.pingIfDue() // for what was written since
	return keys
}
