package bachata

import (
	"context"
	"sync"
	"time"
)

// Session is what the center knows of one socket. It owns no goroutine: the driver of the socket calls Receive and Pong,
// and the queue's wake-ups start a short-lived one while there is something to send.
type Session struct {
	center *Center
	hub    *hub
	next   *Session // of the hub, under its lock
	socket Socket
	terms  *terms // nil: those of most, under the name of the channel and for ever
	// onMessage sees each message before the routes do. An error refuses it, as a route's would.
	onMessage func(*Session, *Message) error

	writing sync.Mutex // held while frames are handed to the socket
	pump    runner

	mu       sync.Mutex
	ready    bool // the 1000 is being written, or was, and no write has failed
	closed   bool
	behind   bool   // the inbox may hold what no wake-up brought
	chores   bool   // the pump has more to do than to deliver
	inFlight bool   // the last ping was not answered yet
	forgot   bool   // of something that another socket has confirmed, a 200 may still come, and the window does not know it any more
	value    *any   // the application's; nil without any
	cursor   Cursor // the last envelope that was written
	ahead    Cursor // after which the next wake-up's envelopes would follow
	pingSent uint64 // the counter of the last ping
	*traffic
}

// terms are what an identity says besides the channel.
type terms struct {
	user, from string
	expires    time.Time   // zero: never
	timer      *time.Timer // guarded by Session.mu; nil if it never ends, and while OnOpen runs
}

// traffic is what a session keeps besides while something is on its way to its client. One that has been still for a
// while shares calm, so that an idle socket costs less.
type traffic struct {
	window    window
	hints     []Envelope // what wake-ups brought, to spare a Fetch: in hint if that is one, else in hintRoom
	hint      [1]Envelope
	hintRoom  *envelopes
	hinted    Cursor // after which they follow
	hintBytes int    // of their payloads
	done      recent // ids that this socket has confirmed
	used      bool   // since the last sweep
	stalled   bool   // the pump stopped at a full window
	told      bool   // the client was told of it
	recheck   bool   // look what other nodes have confirmed
	pingDue   bool
	full      *time.Timer // runs while the window is full

	retry      *time.Timer // runs while something is to be tried again
	retryDelay time.Duration
	retryKeys  []Key // 200s for what was not written here, whose pop failed

	unproven  int         // frames written since the last ping
	pingTimer *time.Timer // runs from the first unproven frame
}

// calm is the traffic of all sessions without any. It is never written to: engage comes first.
var calm traffic

// engage gives s a traffic of its own to write to. s.mu is held.
func (s *Session) engage() {
	if s.traffic == &calm {
		s.traffic = new(traffic)
	}
	s.used = true
}

// calmDown gives back what a session without traffic does not need. s.mu is held.
func (s *Session) calmDown() {
	t := s.traffic
	switch {
	case t == &calm:
	case t.used:
		t.used = false
	case t.window.messages == 0 && len(t.window.entries) == 0 && len(t.hints) == 0 && len(t.retryKeys) == 0 &&
		t.unproven == 0 && !t.stalled && !t.pingDue && t.full == nil && t.retry == nil && t.pingTimer == nil:
		s.traffic = &calm
	}
}

// Attach opens a session for sock: it is told 1000, and then what its inbox holds. The driver of sock calls Receive,
// Pong and, when the socket is gone, Detach.
func (c *Center) Attach(sock Socket, id Identity) (*Session, error) {
	return c.attach(sock, id, nil, nil)
}

// attach calls onOpen, if there is one, before the 1000 is written.
func (c *Center) attach(sock Socket, id Identity, onMessage func(*Session, *Message) error, onOpen func(*Session)) (*Session, error) {
	id, err := id.check()
	if err != nil {
		return nil, err
	}
	s := &Session{
		center: c, socket: sock, onMessage: onMessage, traffic: &calm, behind: true,
	}
	if id != (Identity{User: id.Channel, Channel: id.Channel, From: id.Channel}) {
		s.terms = &terms{user: id.User, from: id.From, expires: id.Expires}
	}
	s.pump.state.Store(runnerRunning) // until the 1000 is written
	if err := c.join(s, id.Channel); err != nil {
		return nil, err
	}
	c.counters.Add(CountOpened, 1)
	if onOpen != nil {
		onOpen(s)
	}
	if !id.Expires.IsZero() {
		s.mu.Lock()
		s.terms.timer = c.after(time.Until(id.Expires), func(context.Context) {
			s.Close(CloseUnauthenticated, "the authentication has expired")
		})
		s.mu.Unlock()
	}
	s.greet()
	s.pump.start(c, s)
	if c.mode == Simple {
		s.hub.simple.kick(c, s.hub)
	}
	return s, nil
}

// greet writes the 1000. Whoever sees that the session is ready writes behind it, for this holds the socket.
func (s *Session) greet() {
	c := s.center
	text := c.proto.AppendTransport(nil, &Transport{
		Code:         CodeReady,
		DedupeMillis: c.queue.Info().Dedupe.Milliseconds(),
		MaxMessage:   int64(c.options.MaxMessage),
		From:         s.from(),
	})
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	s.ready = true
	s.mu.Unlock()
	s.writeLocked(s.socket.AppendFrame(nil, text))
}

// Identity returns who is behind the session.
func (s *Session) Identity() Identity {
	id := Identity{User: s.user(), Channel: s.hub.channel, From: s.from()}
	if s.terms != nil {
		id.Expires = s.terms.expires
	}
	return id
}

func (s *Session) user() string {
	if s.terms != nil {
		return s.terms.user
	}
	return s.hub.channel
}

// from returns the shown name.
func (s *Session) from() string {
	if s.terms != nil {
		return s.terms.from
	}
	return s.hub.channel
}

// Center returns the center that the session belongs to.
func (s *Session) Center() *Center { return s.center }

// Value returns what SetValue kept for the application.
func (s *Session) Value() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.value == nil {
		return nil
	}
	return *s.value
}

// SetValue keeps a value of the application's with the session.
func (s *Session) SetValue(v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value = &v
}

// Close closes the session's socket from the server's side, after what was written. It does not block.
func (s *Session) Close(code CloseCode, reason string) { s.socket.Close(code, reason) }

// Detach tells the session that its socket is gone. What was not confirmed stays in the inbox. It may be called twice.
func (s *Session) Detach() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	for _, t := range []*time.Timer{s.full, s.retry, s.pingTimer} {
		if t != nil {
			t.Stop()
		}
	}
	if s.terms != nil && s.terms.timer != nil {
		s.terms.timer.Stop()
	}
	s.traffic = &calm
	s.mu.Unlock()
	s.center.depart(s)
	s.center.counters.Add(CountClosed, 1)
}

// writeFrames hands frames to the socket. A socket that is closed tells so by Detach.
func (s *Session) writeFrames(frames []byte) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.writeLocked(frames)
}

// writeAnswers does that with what answers the client.
func (s *Session) writeAnswers(frames []byte) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if c, ok := s.socket.(corker); !ok {
		s.writeLocked(frames)
	} else if c.answer(frames) != nil {
		s.refused()
	}
}

// writeLocked does that with the socket held, and reports whether the socket took it. One that did not is closed: it
// will be detached, and nothing more is handed to it meanwhile.
func (s *Session) writeLocked(frames []byte) bool {
	return s.socket.Write(frames) == nil || s.refused()
}

// refused notes that the socket did not take what was written.
func (s *Session) refused() bool {
	s.mu.Lock()
	s.ready = false
	s.mu.Unlock()
	return false
}

func (s *Session) isReady() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready
}

// backlog returns how many bytes the socket keeps for a client that has not read them yet, as far as it says.
func (s *Session) backlog() int {
	if b, ok := s.socket.(Buffered); ok {
		return b.Buffered()
	}
	return 0
}

func (s *Session) writeText(text []byte) {
	b := getBuffer()
	defer putBuffer(b)
	*b = s.socket.AppendFrame(*b, text)
	s.writeFrames(*b)
}

func (s *Session) writeTransport(t *Transport) {
	b := getBuffer()
	defer putBuffer(b)
	*b = s.center.proto.AppendTransport(*b, t)
	s.writeText(*b)
}
