package bachata

// envelopes is room for some.
type envelopes struct{ list []Envelope }

// addHints keeps a copy of what a wake-up brought. s.mu is held.
func (s *Session) addHints(list []Envelope) {
	s.ahead = list[len(list)-1].Cursor
	if len(s.hints) == 0 && len(list) == 1 {
		s.hint[0] = list[0]
		s.hints = s.hint[:]
		return
	}
	if s.hintRoom == nil {
		s.hintRoom = s.center.hintRooms.Get().(*envelopes)
		s.hintRoom.list = append(s.hintRoom.list, s.hints...)
		s.hint = [1]Envelope{}
	}
	s.hintRoom.list = append(s.hintRoom.list, list...)
	s.hints = s.hintRoom.list
}

// takeHints returns what wake-ups brought, until d.freeHints, and leaves none. s.mu is held.
func (s *Session) takeHints(d *delivery) (hints []Envelope) {
	switch {
	case len(s.hints) == 0:
		return nil
	case s.hintRoom == nil:
		d.hint = s.hint
		hints = d.hint[:]
		s.hint = [1]Envelope{}
	default:
		hints, d.hintRoom = s.hints, s.hintRoom
		s.hintRoom = nil
	}
	s.hints = nil
	return hints
}

// freeHints gives back the room of what takeHints returned.
func (d *delivery) freeHints(c *Center) {
	d.hint = [1]Envelope{}
	if room := d.hintRoom; room != nil {
		d.hintRoom = nil
		if cap(room.list) > 2*fetchLimit.Messages {
			return // one wake-up may bring more than a Fetch does
		}
		clear(room.list)
		room.list = room.list[:0]
		c.hintRooms.Put(room)
	}
}
