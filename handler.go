package bachata

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// ErrNotAllowed is what Authenticate returns, wrapped or not, for someone who is known but may not connect.
var ErrNotAllowed = errors.New("bachata: not allowed")

// Handler is the WebSocket endpoint of a center: mount it in any mux, behind any middleware that lets a connection be
// hijacked. It serves WebSocket over HTTP/1.1, with or without TLS.
//
// Set its fields before the first request, and don't copy it after. The functions may be called concurrently, for
// different requests and sessions.
//
// How long a client may take for its handshake, and how large that may be, is the server's: set ReadHeaderTimeout (10 s is
// much), IdleTimeout and MaxHeaderBytes (16 KiB is much) of http.Server, whose defaults are none, none and 1 MiB. Set
// ReadTimeout and WriteTimeout too, or whoever announces a body and sends none, or reads no answer, keeps a connection and a
// goroutine for ever. They end with the upgrade. ReadTimeout has to leave room for AuthTimeout behind the header: 20 s. With
// thousands of connections over TLS, or near the limit of file descriptors, have it serve a NewListener; over TLS, with
// TLSConfig, which saves memory.
//
// http.Server.Shutdown does not wait for WebSockets: drain them with Center.Shutdown, and then let Handler.Shutdown wait
// for the last connection.
type Handler struct {
	// Center takes the sessions. Required.
	Center *Center
	// Authenticate says who makes the request. Required. An error lets nobody in: a browser can't see the status of a
	// refused handshake, so the connection is opened, then closed with 4403 if the error is ErrNotAllowed, else with
	// 4401. The client learns nothing else, unless the error is a *Refusal: its Reason is the close frame's.
	// It is called after the origin was checked, and may block, for AuthTimeout at most: then the context of r ends,
	// and an error that comes of that is told to the client as one of time.
	Authenticate func(r *http.Request) (Identity, error)

	// OnOpen is called before anything is written to a new session or read from it. r must not be kept.
	OnOpen func(s *Session, r *http.Request)
	// OnMessage sees each message before the routes do; those of one session one after the other. An error refuses the
	// message: the client is told a *Refusal as it is, and of any other error only that there was one.
	OnMessage func(s *Session, m *Message) error
	// OnClose is called when the socket of a session is gone, after the session was detached from its center.
	OnClose func(s *Session)
	// OnAuthError is called with the error that Authenticate returned, or with what is wrong with its Identity: a Channel
	// that is missing, say. Neither is logged, for it may hold a token.
	OnAuthError func(r *http.Request, err error)

	// Origins are the origins, besides the endpoint's own host, whose pages may connect: "https://app.example", with a
	// port if it is not the default one. "*" allows every page on the web, which is safe only where authentication
	// does not rest on cookies or on the network that the client is in.
	Origins []string
	// CheckOrigin, if set, decides instead of Origins and the default. A request that it does not allow gets a 403.
	//
	// The default: a request with an Origin must come from a page on the same host, or from one of Origins. One
	// without is no browser's, and passes unless it carries a cookie.
	CheckOrigin func(r *http.Request) bool
	// Subprotocols are the names of which the first that the client offers is agreed on. Default none. Browsers give
	// up if they offer some and none is.
	Subprotocols []string
	// Compression, if set, has messages compressed for clients that offer it. Default none: it costs more processor time
	// than all the rest of a message, and pays where the line is slow or traffic is dear.
	Compression *Compression

	// MaxPending bounds, in bytes, what one connection keeps for a client that reads too slowly; past it the connection
	// is closed with 4408. What is written while nothing else waits is always kept, and from 256 KiB on nothing more
	// is read from that client. Default 8 MiB, which holds a full default window, its receipts and the answers to one
	// read. With larger windows, twice the window.
	MaxPending int
	// WriteTimeout is how long a client may take to read the next 64 KiB that wait for it. Then it has stopped, and the
	// connection is cut. Default 10 s.
	WriteTimeout time.Duration
	// AuthTimeout is how long Authenticate may take. Default 5 s.
	AuthTimeout time.Duration
	// CloseTimeout is how long the client may take to answer a close frame. Default 5 s. While output waits for it,
	// WriteTimeout is added.
	CloseTimeout time.Duration
	// PingInterval is how long a connection may be silent before it is pinged, the moment varying by a fifth so that
	// connections that began together are not pinged together. Default 25 s; negative: never.
	PingInterval time.Duration
	// PongTimeout is how long after a ping the silence may last before the connection is cut. Default 10 s. On Linux it begins
	// anew while the client takes, of what the kernel has kept for it since before the ping, 64 KiB in a WriteTimeout.
	PongTimeout time.Duration
	// Portable has every connection wait in Go's own poller, with a goroutine of its own, as it is on other systems than
	// Linux. There it saves trouble with what wants to see the connections of net/http, and costs memory and time.
	Portable bool
	// Logger is told what the operator must know (Error), of pages that are refused because of their origin (Info, ever more
	// rarely while they go on), and why connections ended (Debug). Default: silent. Tokens and content are never logged.
	Logger *slog.Logger

	once       sync.Once
	maxMessage int   // the largest message in bytes, over all its fragments; more closes with 1009
	setupErr   error // what Check found
	heart      heartbeat
	poller     poller
	buffers    connBuffers
	deflater   deflater
	errors     errorLog
	helpers    sync.WaitGroup // flushers, and closes that may block
}

// Check reports what the handler can't work without. ServeHTTP answers 500 until it is there.
func (h *Handler) Check() error {
	switch {
	case h.Center == nil:
		return errors.New("bachata: handler has no Center")
	case h.Authenticate == nil:
		return errors.New("bachata: handler has no Authenticate")
	}
	for _, o := range h.Origins {
		if _, ok := parseOrigin(o); !ok && o != "*" {
			return fmt.Errorf("bachata: handler has an origin %q that is not of the form https://host", o)
		}
	}
	return h.Compression.check()
}

func (h *Handler) setUp() {
	if h.setupErr = h.Check(); h.setupErr != nil {
		h.logError("endpoint is not set up", h.setupErr)
		return
	}
	h.maxMessage = h.Center.options.MaxMessage
	orDefault(&h.MaxPending, 8<<20)
	h.deflater.setUp(h.Compression)
	h.setTimeouts()
}

func (h *Handler) setTimeouts() {
	orDefault(&h.WriteTimeout, 10*time.Second)
	orDefault(&h.CloseTimeout, 5*time.Second)
	orDefault(&h.AuthTimeout, 5*time.Second)
	orDefault(&h.PongTimeout, 10*time.Second)
	if h.PingInterval == 0 {
		h.PingInterval = 25 * time.Second
	}
	h.heart.set(h.PingInterval, h.PongTimeout)
}

// ServeHTTP answers a WebSocket handshake and returns; the connection lives on without it, and keeps nothing of r.
// What is no handshake gets an error in plain text.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.once.Do(h.setUp)
	if h.setupErr != nil {
		http.Error(w, "this endpoint is not set up", http.StatusInternalServerError)
		return
	}
	if !checkHandshake(w, r) {
		return
	}
	if !h.originAllowed(r) {
		http.Error(w, "this origin may not connect", http.StatusForbidden)
		h.logOrigin(r)
		return
	}
	id, authErr := h.authenticate(r)
	nc, rest, deflate, err := h.upgrade(w, r)
	switch {
	case errors.Is(err, errLeft):
		if h.Logger != nil {
			h.Logger.Debug("connection ended", "remote", r.RemoteAddr, "cause", err)
		}
		return
	case err != nil:
		h.logError("upgrade connection", err)
		return
	}

	c := newConn(h, nc)
	c.compress = deflate
	if !h.heart.add(c) {
		c.reject()
		return
	}
	if authErr != nil {
		c.Close(authClose(authErr))
	} else {
		h.attach(c, id, r)
	}
	c.start(rest)
	if authErr != nil && h.OnAuthError != nil {
		h.OnAuthError(r, authErr)
	}
}

// authenticate returns an identity that the center can take.
func (h *Handler) authenticate(r *http.Request) (Identity, error) {
	ctx, cancel := context.WithTimeout(r.Context(), h.AuthTimeout)
	defer cancel()
	id, err := h.Authenticate(r.WithContext(ctx))
	if err != nil {
		return id, err
	}
	// Copied, for they are parts of the request, more often than not, and would keep all of it in memory.
	id.Channel = strings.Clone(id.Channel)
	for _, name := range []*string{&id.User, &id.From} {
		if *name == id.Channel {
			*name = id.Channel
		} else {
			*name = strings.Clone(*name)
		}
	}
	return id.check()
}

// authClose returns what a client that is not let in is closed with.
func authClose(err error) (CloseCode, string) {
	code, reason := CloseUnauthenticated, "not authenticated"
	if errors.Is(err, ErrNotAllowed) {
		code, reason = CloseNotAllowed, "not allowed"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		reason = "authentication took too long; try again"
	}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		reason = refusal.Reason
	}
	return code, reason
}

// attach gives the connection to the center, or closes it.
func (h *Handler) attach(c *conn, id Identity, r *http.Request) {
	onOpen := func(s *Session) {
		if h.OnOpen != nil {
			h.guard("OnOpen", s, func(s *Session) { h.OnOpen(s, r) })
		}
	}
	s, err := h.Center.attach(c, id, h.OnMessage, onOpen)
	switch {
	case err == nil:
		c.session = s
	case errors.Is(err, ErrClosing):
		c.Close(CloseGoingAway, "the server is going away")
	default:
		h.logError("attach session", err)
		c.Close(CloseInternal, "internal error")
	}
}

func (h *Handler) onClose(c *conn) {
	if s, ok := c.session.(*Session); ok && h.OnClose != nil {
		h.guard("OnClose", s, h.OnClose)
	}
}

// guard calls a hook. Should it panic, then its session ends, and not the process.
func (h *Handler) guard(name string, s *Session, hook func(*Session)) {
	defer func() {
		if p := recover(); p != nil {
			h.logError("call "+name, fmt.Errorf("bachata: panic: %v", p))
			s.Close(CloseInternal, "internal error")
		}
	}()
	hook(s)
}

// logOrigin says which page was refused, and what it is compared with: a proxy that changes the Host looks like a foreign page,
// and a browser tells its user nothing.
func (h *Handler) logOrigin(r *http.Request) {
	if h.Logger == nil {
		return
	}
	origin, text := cut(r.Header.Get("Origin")), "a page of another origin may not connect"
	if len(r.Header.Values("Origin")) == 0 {
		text = "a request without an origin may not connect" // it has a cookie, or CheckOrigin does not allow it
	}
	h.errors.note(h.Logger, text, "origin "+origin, text, "origin", origin, "host", cut(r.Host))
}

// cut returns the beginning of what a stranger wrote.
func cut(text string) string { return text[:min(len(text), MaxName)] }

// logError tells of an error that may come with every connection, as each does while the queue is away.
func (h *Handler) logError(what string, err error) {
	if h.Logger != nil {
		h.errors.write(h.Logger, what, err.Error(), what, "error", err)
	}
}
