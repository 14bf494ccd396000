package bachata

import (
	"context"
	"strconv"
)

// confirm notes a 200 and appends to keys what it takes off the inbox.
func (s *Session) confirm(keys []Key, t *Transport) []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range t.IDs {
		w := s.window.match(id.Text, t.From, t.Dest)
		switch {
		case w == nil: // not written here: written to an earlier socket of the channel, perhaps
			keys = append(keys, Key{ID: id.Text, From: t.From, Dest: t.Dest})
		case w.state == gone:
			s.window.remove(w)
		default:
			w.state = confirming
			keys = append(keys, Key{Cursor: w.cursor, ID: w.id, From: w.from, Dest: w.dest})
		}
	}
	return keys
}

// pop takes what keys name off the inbox. What fails is kept and tried again.
func (s *Session) pop(keys []Key) {
	c := s.center
	popped, err := c.queue.PopDelivered(c.ctx, s.identity.Channel, s.identity.From, keys)
	if err != nil || len(popped) != len(keys) {
		if err != nil {
			c.logQueueError("pop", err)
		}
		s.keep(keys)
		return
	}
	cursors := make([]Cursor, 0, len(keys))
	confirmed := int64(0)
	s.mu.Lock()
	for i, key := range keys {
		if key.Cursor != 0 {
			if w := s.window.at(key.Cursor); w != nil {
				s.window.remove(w)
			}
		} else if popped[i].Found {
			if w := s.window.at(popped[i].Cursor); w != nil { // written while the pop was on its way
				s.window.remove(w)
			}
		}
		if popped[i].Found {
			cursors = append(cursors, popped[i].Cursor)
			if key.ID != "" {
				confirmed++
			}
		}
	}
	s.retryDelay = 0
	kick := s.freedLocked()
	s.mu.Unlock()
	c.counters.Add(CountConfirmed, confirmed)
	s.hub.confirmed(s, cursors)
	if kick {
		s.pump.kick(c, s)
	}
}

// keep remembers keys whose pop failed.
func (s *Session) keep(keys []Key) {
	s.mu.Lock()
	for _, key := range keys {
		if key.Cursor != 0 {
			if w := s.window.at(key.Cursor); w != nil && w.state == confirming {
				w.state = unpopped
			}
		} else if len(s.retryKeys) < s.center.options.Window.Messages {
			s.retryKeys = append(s.retryKeys, key)
		}
	}
	s.mu.Unlock()
	s.retryLater()
}

// popAgain tries what failed before.
func (s *Session) popAgain() {
	s.mu.Lock()
	keys := s.retryKeys
	s.retryKeys = nil
	s.window.each(unpopped, func(w *written) {
		w.state = confirming
		keys = append(keys, Key{Cursor: w.cursor, ID: w.id, From: w.from, Dest: w.dest})
	})
	s.mu.Unlock()
	if len(keys) > 0 {
		s.pop(keys)
	}
}

// retryLater has the pump run again after a while that grows from failure to failure.
func (s *Session) retryLater() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.retry != nil {
		return
	}
	s.retryDelay = min(max(s.retryDelay*2, minRetry), maxRetry)
	s.retry = s.center.after(s.retryDelay, func(context.Context) {
		s.mu.Lock()
		s.retry = nil
		s.mu.Unlock()
		s.pump.kick(s.center, s)
	})
}

// appendPingLocked appends the barrier to frames if it is due: one ping is in flight at a time, sent a while after the
// first frame that nobody else proves, or at once when there are many, or while draining.
func (s *Session) appendPingLocked(frames []byte) []byte {
	if s.unproven == 0 || s.inFlight {
		return frames
	}
	if !s.pingDue && s.unproven < barrierFrames && !s.center.draining.Load() {
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
	return s.barrier.AppendPing(frames, strconv.AppendUint(nil, s.pingSent, 10))
}

func (s *Session) pingTime() {
	s.mu.Lock()
	s.pingTimer = nil
	s.pingDue = true
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
		_ = s.socket.Write(frames)
	}
}

// Pong tells the session that the answer to a ping came back: everything written before that ping has arrived. A pong
// that answers no ping of the session's is ignored. It may block, and is called by the goroutine that calls Receive.
func (s *Session) Pong(payload []byte) {
	counter, err := strconv.ParseUint(string(payload), 10, 64)
	s.mu.Lock()
	if err != nil || s.closed || !s.inFlight || counter != s.pingSent {
		s.mu.Unlock()
		return
	}
	s.inFlight = false
	var keys []Key
	s.window.each(waiting, func(w *written) {
		if w.id == "" && w.proof <= counter {
			w.state = confirming
			keys = append(keys, Key{Cursor: w.cursor})
		}
	})
	s.mu.Unlock()
	if len(keys) > 0 {
		s.pop(keys)
	}
	s.pingIfDue() // for what was written since
}

// outstanding returns how much was written and has not left the inbox.
func (s *Session) outstanding() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.window.messages
}
