package bachata

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// ErrClosing is returned for what a center no longer takes, because it is shutting down or closed.
var ErrClosing = errors.New("bachata: center is closing")

// Options configure a Center. The zero value is useful.
type Options struct {
	Protocol Protocol     // default JSON()
	Counters Counters     // default: not counted
	Logger   *slog.Logger // default: silent; content and tokens are never logged
	// Window bounds what is written to one socket and not yet confirmed. Default 1,000 messages and 4 MiB; one larger
	// message goes alone.
	Window Limit
	// WindowTimeout is how long a full window may see no 200 before the client is told (400 window_full). Default 60 s.
	WindowTimeout time.Duration
	// CloseOnWindowTimeout closes such a socket (4408) instead of only telling it.
	CloseOnWindowTimeout bool
	// RefuseFrom refuses messages in which the client set a "from" other than its own, instead of overwriting it.
	RefuseFrom bool
	// MaxMessage is the largest frame in bytes, as announced by the 1000; the handler enforces it. Default 64 KiB.
	MaxMessage int
	// PostProcessors bounds how many post-processings run at once. Default 64.
	PostProcessors int
}

// Center is the heart: it takes what sessions receive through the routes into the queue, and what the queue holds to
// the sessions. All methods may be called concurrently.
type Center struct{}

// NewCenter makes a center on q, which stays the caller's to close, after the center.
func NewCenter(q Queue, o *Options) *Center { panic("todo") }

// AddRoute appends route to the chain. A route that is already in it is an error.
func (c *Center) AddRoute(route Route) error { panic("todo") }

// RemoveRoute takes route out of the chain and reports whether it was in it.
func (c *Center) RemoveRoute(route Route) bool { panic("todo") }

// Attach opens a session for sock: it is told 1000 and then what its inbox holds.
func (c *Center) Attach(sock Socket, id Identity) (*Session, error) { panic("todo") }

// Result says what became of a message that the server made.
type Result struct {
	Channels []string
	Statuses PutResult
	Dup      bool // known before
}

// Process takes a message of the server's own through the routes; From of the message stays as it is.
// Refusals are returned as *Refusal.
func (c *Center) Process(ctx context.Context, m *Message) (Result, error) { panic("todo") }

// Send puts a message of the server's own into the inboxes of channels, past the routes.
func (c *Center) Send(ctx context.Context, m *Message, channels ...string) (Result, error) {
	panic("todo")
}

// Online returns how many sockets of channel are connected to this node.
func (c *Center) Online(channel string) int { panic("todo") }

// Queue returns the queue.
func (c *Center) Queue() Queue { panic("todo") }

// Shutdown drains: no new sockets, 1003 to every client, acks still taken until ctx ends or nothing is outstanding.
func (c *Center) Shutdown(ctx context.Context) error { panic("todo") }

// Close ends all sessions at once and waits for post-processing.
func (c *Center) Close() error { panic("todo") }

// Session is what the center knows of one socket.
type Session struct{}

// Receive handles the texts of complete frames, in order, and answers them with one write. It is called by one
// goroutine at a time and may block, while the queue stores what they held; the driver reads no further meanwhile.
// The bytes are the driver's again when it returns.
func (s *Session) Receive(texts [][]byte) { panic("todo") }

// Pong tells the session that the answer to a ping came back: everything written before that ping has arrived.
func (s *Session) Pong(payload []byte) { panic("todo") }

// Detach tells the session that its socket is gone. It may be called twice.
func (s *Session) Detach() { panic("todo") }

// Identity returns who is behind the session.
func (s *Session) Identity() Identity { panic("todo") }

// Value returns what SetValue kept for the application.
func (s *Session) Value() any { panic("todo") }

// SetValue keeps a value of the application's with the session.
func (s *Session) SetValue(v any) { panic("todo") }

// Close closes the session's socket from the server's side.
func (s *Session) Close(code CloseCode, reason string) { panic("todo") }

// CloseUser closes every session of user on this node and returns how many there were.
func (c *Center) CloseUser(user string, code CloseCode, reason string) int { panic("todo") }

// Direct returns the route for messages whose dest is a channel; it takes those of the given types (none: all).
func Direct(types ...string) Route { panic("todo") }

// Group returns the route for messages whose dest names a group; members gives the channels of its members. The
// sender's own is left out unless GroupOptions say otherwise.
func Group(members func(ctx context.Context, group string, s *Session) ([]string, error), types ...string) Route {
	panic("todo")
}
