package bachata

import (
	"context"
)

// wake is called by the hub, under its lock, when the inbox may hold something new.
func (s *Session) wake(w Wake) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	n, size := len(w.Envelopes), 0
	for i := range w.Envelopes {
		size += len(w.Envelopes[i].Payload)
	}
	switch {
	case n == 0 || w.Prev != s.ahead || s.behind || n > 1 && size > fetchLimit.Bytes:
		s.behind = true
	case len(s.hints) == 0:
		s.engage()
		s.hinted, s.hintBytes = w.Prev, size
		s.addHints(w.Envelopes)
	case len(s.hints)+n > fetchLimit.Messages || s.hintBytes+size > fetchLimit.Bytes:
		s.behind = true
	default:
		s.hintBytes += size
		s.addHints(w.Envelopes)
	}
	s.mu.Unlock()
	s.pump.wake(w.Cause, s.center, s)
}

// sweep reads the inbox whether there was a wake-up or not, and looks what other nodes have confirmed.
func (s *Session) sweep() {
	if s.center.mode == Simple {
		if s.hub.simple.claim() {
			s.center.run(&s.hub.simple, s.hub)
		}
		return
	}
	s.mu.Lock()
	s.behind = true
	if s.stalled {
		s.recheck, s.chores = true, true
	}
	s.calmDown()
	s.mu.Unlock()
	if s.pump.claim() {
		s.center.run(&s.pump, s)
	}
}

// work is the pump: it writes what the inbox holds to the socket, as far as the window allows.
func (s *Session) work(d *delivery) {
	if s.center.mode == Simple {
		return
	}
	if s.writeHint(d) {
		return
	}
	s.mu.Lock()
	chores := s.chores
	s.chores = false
	s.mu.Unlock()
	if chores {
		s.popAgain()
		s.lookAround()
	}
	for s.deliver(d) {
	}
	if chores {
		s.pingIfDue()
	}
}

// writeHint writes what a wake-up brought if that is one message with an id, as it nearly always is, and nothing else is to
// be looked at; else it returns false.
func (s *Session) writeHint(d *delivery) bool {
	c := s.center
	s.writing.Lock() // as in writeInto
	defer s.writing.Unlock()
	s.mu.Lock()
	if s.closed || s.behind || s.chores || len(s.hints) != 1 || s.hinted != s.cursor || s.unproven > 0 || c.draining.Load() {
		s.mu.Unlock()
		return false
	}
	e := &s.hints[0]
	room := s.window.room(c.options.Window)
	if e.Kind != KindMessage || e.ID.IsZero() || room.Messages <= 0 || room.Bytes < len(e.Payload) {
		s.mu.Unlock()
		return false
	}
	s.window.add(written{
		cursor: e.Cursor, size: int32(len(e.Payload)), id: c.hash(e.ID.Text), from: c.hash(e.From), dest: c.hash(e.Dest),
	})
	payload := e.Payload
	s.cursor, s.ahead = e.Cursor, e.Cursor
	s.hints, s.hint = nil, [1]Envelope{}
	s.mu.Unlock()
	s.writeMessage(payload, d)
	return true
}

// deliver writes what wake-ups brought, or reads the inbox if that may hold more, and reports whether there may be more yet.
func (s *Session) deliver(d *delivery) bool {
	c := s.center
	s.mu.Lock()
	room, after := s.window.room(c.options.Window), s.cursor
	hints := s.takeHints(d)
	defer d.freeHints(c)
	behind := s.behind || len(hints) > 0 && s.hinted != after
	s.behind = false
	if s.closed || c.draining.Load() || len(hints) == 0 && !behind {
		s.mu.Unlock()
		return false
	}
	if room.Messages <= 0 || room.Bytes <= 0 {
		s.ahead = s.cursor
		s.stallLocked()
		unproven := s.unproven > 0
		s.mu.Unlock()
		if unproven {
			s.pingIfDue() // what waits need not wait for the delay
		}
		return false
	}
	s.mu.Unlock()

	if len(hints) > 0 && !behind {
		s.writeEnvelopes(hints, d)
		return false // what comes later has its own wake-up
	}
	envelopes, err := c.queue.Fetch(c.ctx, s.hub.channel, after,
		Limit{Messages: min(room.Messages, fetchLimit.Messages), Bytes: min(room.Bytes, fetchLimit.Bytes)})
	if err != nil {
		c.queueFailed("fetch", err)
		s.fallBehind()
		s.retryLater()
		return false
	}
	c.queueAnswered("fetch")
	s.mu.Lock()
	if s.retryDelay != 0 { // calm is not written to
		s.retryDelay = 0
	}
	if len(envelopes) == 0 && len(s.hints) == 0 {
		s.ahead = s.cursor
	}
	s.mu.Unlock()
	if len(envelopes) == 0 {
		return false
	}
	if !s.writeEnvelopes(envelopes, d) || envelopes[len(envelopes)-1].Last {
		return false
	}
	s.fallBehind()
	return true
}

// fallBehind notes that the inbox has to be read.
func (s *Session) fallBehind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behind = true
}

// writeEnvelopes writes envelopes to the socket, noting them in the window first, and reports whether all of them had room
// in it.
func (s *Session) writeEnvelopes(envelopes []Envelope, d *delivery) bool {
	all, arrived := s.writeInto(envelopes, d)
	if len(arrived) > 0 {
		s.pop(s.center.ctx, arrived)
	}
	return all
}

// writeInto does that. Without a barrier, arrived is what has arrived as soon as it is written.
func (s *Session) writeInto(envelopes []Envelope, d *delivery) (all bool, arrived []Key) {
	c := s.center
	var messages, receipts, gaps int64
	all = true
	var frame *held
	d.frames = d.frames[:0]

	s.writing.Lock() // so that the order of the window is that of the socket
	defer s.writing.Unlock()
	s.mu.Lock()
	// A drain may have begun since the inbox was read: behind the 1003, whose writing waits for this one, nothing new comes.
	if s.closed || c.draining.Load() {
		s.mu.Unlock()
		return false, nil
	}
	s.engage()
	_, barrier := s.socket.(Barrier)
	for i := range envelopes {
		e := &envelopes[i]
		payload := e.Payload
		if e.Kind != KindMessage {
			d.appendNotice(c.proto, e)
			payload = d.text
		}
		w := written{cursor: e.Cursor, size: int32(len(payload))}
		room := s.window.room(c.options.Window)
		if room.Messages <= 0 || len(payload) > room.Bytes && s.window.messages > 0 {
			s.stallLocked()
			all = false
			break
		}
		switch {
		case e.Kind == KindMessage && !e.ID.IsZero():
			w.id, w.from, w.dest = c.hash(e.ID.Text), c.hash(e.From), c.hash(e.Dest)
		case barrier:
			w.proof = s.pingSent + 1
			s.unproven++
		default:
			arrived = append(arrived, Key{Cursor: e.Cursor})
			w.state = confirming
		}
		s.window.add(w)
		s.cursor = e.Cursor
		switch e.Kind {
		case KindMessage:
			messages++
		case KindReceipt:
			receipts++
		case KindGap:
			gaps++
		}
		if len(envelopes) == 1 && messages == 1 {
			frame = d.shared(s.socket, payload)
		}
		if frame == nil {
			d.frames = s.socket.AppendFrame(d.frames, payload)
		}
	}
	if len(s.hints) == 0 {
		s.ahead = s.cursor
	}
	d.frames = s.appendPingLocked(d.frames)
	s.mu.Unlock()

	if !s.writeBuilt(frame, d.frames) {
		return false, nil
	}
	c.count(CountWritten, messages)
	c.count(CountReceipts, receipts)
	c.count(CountGaps, gaps)
	return all, arrived
}

// stallLocked notes that the pump stopped at a full window, and sees to it that the client is told if that lasts.
func (s *Session) stallLocked() {
	s.engage()
	s.stalled = true
	if s.full == nil && !s.told {
		s.full = s.center.after(s.center.options.WindowTimeout, func(context.Context) { s.windowFull() })
	}
}

// freedLocked notes that something left the window, and reports whether the pump waits for that.
func (s *Session) freedLocked() bool {
	if s.traffic == &calm {
		return false
	}
	if s.full != nil {
		s.full.Stop()
		s.full = nil
	}
	s.told = false
	stalled := s.stalled
	s.stalled = false
	s.behind = s.behind || stalled
	return stalled
}

// windowFull tells the client, if something waits behind the full window.
func (s *Session) windowFull() {
	s.mu.Lock()
	if s.closed || s.full == nil {
		s.mu.Unlock()
		return
	}
	s.full = nil
	after := s.cursor
	s.mu.Unlock()
	waits, err := s.center.queue.Fetch(s.center.ctx, s.hub.channel, after, Limit{Messages: 1})
	s.mu.Lock()
	if s.closed || !s.stalled || s.told || err != nil || len(waits) == 0 {
		s.mu.Unlock()
		return
	}
	s.told = true
	s.mu.Unlock()
	s.center.counters.Add(CountWindowFull, 1)
	reason := "too much is unconfirmed on this connection; confirm with 200 to get more"
	s.writeTransport(&Transport{Code: CodeRefused, Refusal: &Refusal{Code: RefusedWindowFull, Reason: reason}})
	if s.center.options.CloseOnWindowTimeout {
		s.Close(CloseStopped, "stopped confirming")
	}
}

// lookAround looks, if a sweep found the window full, which of the outstanding messages still wait: others may have been
// confirmed on another node.
func (s *Session) lookAround() {
	c := s.center
	s.mu.Lock()
	due := s.recheck && s.stalled
	if s.recheck { // calm is not written to
		s.recheck = false
	}
	s.mu.Unlock()
	if !due {
		return
	}
	pending, err := c.queue.Fetch(c.ctx, s.hub.channel, 0, c.options.Window)
	if err != nil {
		c.queueFailed("fetch", err)
		return
	}
	there := make(map[Cursor]bool, len(pending))
	last := ^Cursor(0) // of an empty inbox, everything has left
	for i := range pending {
		there[pending[i].Cursor] = true
		last = pending[i].Cursor
	}
	s.mu.Lock()
	var left []Cursor
	s.window.each(waiting, func(w *written) {
		if w.cursor <= last && !there[w.cursor] {
			left = append(left, w.cursor)
		}
	})
	s.mu.Unlock()
	s.confirmedElsewhere(left)
}

// confirmedElsewhere notes that another socket confirmed what stands at cursors.
func (s *Session) confirmedElsewhere(cursors []Cursor) {
	s.mu.Lock()
	freed := false
	for _, cursor := range cursors {
		if w := s.window.at(cursor); w != nil && w.state == waiting {
			s.forgot = s.window.leave(w, s.center.options.Window.Messages) || s.forgot
			freed = true
		}
	}
	kick := freed && s.freedLocked()
	s.mu.Unlock()
	if kick {
		s.pump.kick(s.center, s)
	}
}
