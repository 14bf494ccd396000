package bachata

import "errors"

// delivery is room for what is written to sockets, one after the other.
type delivery struct {
	frames, text []byte
	notice       Transport
	ids          [1]ID
	tail         []byte      // of the receipt that notice says, if the protocol is ours
	hint         [1]Envelope // those that are being written, as in traffic
	hintRoom     *envelopes
	last         []byte // the message that was written last
	frame        *held  // last, once it was written twice
}

func (d *delivery) release(c *Center) {
	d.last, d.frame = nil, nil
	if cap(d.frames) > keptBuffer || cap(d.text) > keptBuffer {
		return
	}
	d.notice, d.ids = Transport{}, [1]ID{}
	c.deliveries.Put(d)
}

// sharer is a socket that takes a frame which others are given too: a message to many is in memory once.
type sharer interface {
	// plain reports whether a text of n bytes goes out as it does to all others who say so.
	plain(n int) bool
	// share is Write for such a frame, which is not changed any more.
	share(f *held) error
}

// shared returns a message as a frame to share, if sock takes that and the message before was the same, else nil.
func (d *delivery) shared(sock Socket, payload []byte) *held {
	if len(payload) == 0 || len(payload) != len(d.last) || &payload[0] != &d.last[0] {
		d.last, d.frame = payload, nil
		return nil
	}
	if by, ok := sock.(sharer); !ok || !by.plain(len(payload)) {
		return nil
	}
	if d.frame == nil {
		d.frame = &held{b: sock.AppendFrame(make([]byte, 0, len(payload)+10), payload), shared: true}
	}
	return d.frame
}

// appendNotice encodes what is no message, a receipt or a gap, in d.text. No other field of d.notice is ever set.
func (d *delivery) appendNotice(p Protocol, e *Envelope) {
	n := &d.notice
	if e.Kind == KindGap {
		n.Code, n.IDs, n.From, n.Dest, n.Time, n.Gap = CodeGap, nil, "", "", 0, e.Gap
		d.text = p.AppendTransport(d.text[:0], n)
		return
	}
	code := CodeDelivered
	switch e.Outcome {
	case OutcomeExpired:
		code = CodeExpired
	case OutcomeDropped:
		code = CodeDropped
	}
	differs := n.Code != code || n.Time != e.Time || n.From != e.From || n.Dest != e.Dest
	d.ids[0] = e.ID
	n.Code, n.IDs, n.From, n.Dest, n.Time, n.Gap = code, d.ids[:], e.From, e.Dest, e.Time, Gap{}
	if _, ours := p.(jsonProtocol); !ours {
		d.text = p.AppendTransport(d.text[:0], n)
		return
	}
	if differs { // but for the id, the receipts that one confirmation makes are alike
		d.tail = appendTail(d.tail[:0], n)
	}
	d.text = append(appendIDs(appendCode(d.text[:0], code), n.IDs), d.tail...)
}

// writeTaken writes a message that a simple queue has handed over, and reports whether the socket took it.
func (s *Session) writeTaken(payload []byte, d *delivery) bool {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.isReady() && s.writeMessage(payload, d)
}

// writeHandedOut is that for what was fetched from such a queue. If the socket broke, it may have taken a part, and none of
// it is handed out again.
func (s *Session) writeHandedOut(envelopes []Envelope, d *delivery) bool {
	if len(envelopes) == 1 && envelopes[0].Kind == KindMessage {
		return s.writeTaken(envelopes[0].Payload, d)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if !s.isReady() {
		return false
	}
	d.frames = d.frames[:0]
	for i := range envelopes {
		payload := envelopes[i].Payload
		if envelopes[i].Kind != KindMessage { // from when the queue was reliable
			d.appendNotice(s.center.proto, &envelopes[i])
			payload = d.text
		}
		d.frames = s.socket.AppendFrame(d.frames, payload)
	}
	err := s.socket.Write(d.frames)
	if err != nil {
		s.refused()
		return !errors.Is(err, errSocketClosed)
	}
	s.center.count(CountWritten, int64(len(envelopes)))
	return true
}

// writeMessage writes one message, with the socket held, and reports whether the socket took it.
func (s *Session) writeMessage(payload []byte, d *delivery) bool {
	frame := d.shared(s.socket, payload)
	if d.frames = d.frames[:0]; frame == nil {
		d.frames = s.socket.AppendFrame(d.frames, payload)
	}
	if !s.writeBuilt(frame, d.frames) {
		return false
	}
	s.center.counters.Add(CountWritten, 1)
	return true
}

// writeBuilt writes a frame that is shared, if there is one, and then frames, with the socket held. It reports whether the
// socket took them.
func (s *Session) writeBuilt(frame *held, frames []byte) bool {
	if frame != nil && s.socket.(sharer).share(frame) != nil {
		return s.refused()
	}
	return len(frames) == 0 || s.writeLocked(frames)
}
