package bachata

import "reflect"

// Calm reports whether nothing was ever written to what sessions without traffic share.
func Calm() bool { return reflect.ValueOf(&calm).Elem().IsZero() }

// Refused reports whether the socket of s has refused to take more.
func Refused(s *Session) bool { return !s.isReady() }

// Plain returns the places of the known members of text, and whether they could be read without the JSON reader.
func Plain(text []byte) (places any, ok bool) {
	var m members
	ok = m.plain(text)
	return m, ok
}

// Read returns what the JSON reader says of text.
func Read(text []byte) (places any, err error) {
	var m members
	if tooDeep(text) {
		return m, refuse(RefusedSyntax, "too deep")
	}
	r := jsonReaders.Get().(*jsonReader)
	defer r.release()
	err = r.scan(text, &m)
	return m, err
}

// DecodeFrom decodes text as a session does whose shown name is from.
func DecodeFrom(text []byte, f *Frame, from string) error {
	return jsonProtocol{}.decode(text, f, reading{from: from})
}

// SetFrom writes the shown name of the sender into a message that is decoded.
func SetFrom(m *Message, from string) { m.setFrom(from) }

// Beat turns the heartbeat of h by so many ticks. Its own goroutine must not run (Handler.PingInterval).
func Beat(h *Handler, ticks uint32) {
	for range ticks {
		h.heart.beat(nil, nil)
	}
}

// Patience returns after how many ticks of the heartbeat of h a pong is late.
func Patience(h *Handler) uint32 { return h.heart.patience }

// Awaited returns how many connections of h may answer a ping later, for they have much to take before it.
func Awaited(h *Handler) int {
	h.heart.mu.Lock()
	defer h.heart.mu.Unlock()
	return len(h.heart.taking)
}

// LeastTaken returns how many bytes a client of h has to take until a pong is late.
func LeastTaken(h *Handler) int { return int(h.leastTaken()) }

// Write writes text to the socket of s.
func Write(s *Session, text []byte) { s.writeText(text) }

// Ended reports whether the connection of s is closed.
func Ended(s *Session) bool {
	c := s.socket.(*conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Kept returns how many bytes for the client of s are kept by the server, and by its kernel.
func Kept(s *Session) (own, kernels int) {
	c := s.socket.(*conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unsent(), int(c.ask(untaken))
}

// Taken returns how many bytes the kernel of the client of s has taken.
func Taken(s *Session) int {
	c := s.socket.(*conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	return int(c.ask(taken))
}
