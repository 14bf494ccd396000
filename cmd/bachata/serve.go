package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/memory"
)

const (
	// drainTimeout is how long clients get to confirm what they were sent, once the server was told to stop.
	drainTimeout = 10 * time.Second
	// closeTimeout is how long the queue gets to close after that: a stuck disk must not keep the program from ending.
	closeTimeout = 5 * time.Second

	headerTimeout = 10 * time.Second
	// requestTimeout is how long a request may take with its body, which nothing here reads, and how long its answer may take
	// to be read. The authentication of a WebSocket has to fit in: net/http ends the request's context with it.
	requestTimeout = 20 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10

	minPending = 8 << 20 // bytes kept for a client that reads slowly
)

// serve runs the server until ctx ends, and then drains it. What a person should know goes to stdout, the log to stderr.
func serve(ctx context.Context, o *options, stdout, stderr io.Writer) (err error) {
	logger := newLogger(o.log, stderr)
	for _, name := range o.ignored {
		logger.Warn("this variable names no option and is ignored", "variable", name)
	}
	signed, err := loadTokens(o)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, o)
	if err != nil {
		return err
	}
	defer listener.Close()
	queue, closeQueue, err := openQueue(ctx, o, logger)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := closeInTime(closeQueue); closeErr != nil {
			err = errors.Join(err, fmt.Errorf("close queue: %w", closeErr))
		}
	}()

	center := bachata.NewCenter(queue, &bachata.Options{
		Logger:     logger,
		MaxMessage: o.maxMessage,
		Window:     bachata.Limit{Messages: o.windowMessages, Bytes: o.windowBytes},
	})
	defer center.Close()
	if err := center.AddRoute(bachata.Direct()); err != nil {
		return fmt.Errorf("add route: %w", err)
	}
	healthz := newHealth(queue, logger)
	messages := newHandler(o, signed, center, logger)
	mux, err := newMux(o, signed, messages, healthz)
	if err != nil {
		return err
	}
	server := newServer(mux, logger)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(bachata.NewListener(listener, logger)) }()
	announce(stdout, logger, o, listener.Addr(), queue.Info(), signed)

	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	announceEnd(stdout, logger, o)
	drain(center, messages, healthz, server, logger)
	<-ended
	return nil
}

// newServer makes the HTTP server of handler. Whoever says nothing, too little or too much, or does not read what is answered,
// is not waited for. A WebSocket is none of its business: it has limits of its own.
func newServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// closeInTime calls closeQueue, and returns without it after closeTimeout.
func closeInTime(closeQueue func() error) error {
	closed := make(chan error, 1)
	go func() { closed <- closeQueue() }()
	select {
	case err := <-closed:
		return err
	case <-time.After(closeTimeout):
		return fmt.Errorf("its storage has not answered for %s; what was answered with 100 is as safe as after a crash", formatDuration(closeTimeout))
	}
}

// drain lets clients finish, then requests, each for a bounded time.
func drain(center *bachata.Center, messages *bachata.Handler, healthz *health, server *http.Server, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	healthz.drain(ctx)
	if err := center.Shutdown(ctx); err != nil {
		logger.Warn("not everything was confirmed before the server stopped; it is delivered later", "error", err)
	}
	if err := messages.Shutdown(ctx); err != nil {
		logger.Debug("connections were cut", "error", err)
	}
	if err := server.Shutdown(ctx); err != nil {
		// What is left are requests that nobody finishes.
		_ = server.Close()
	}
}

// newHandler makes the WebSocket endpoint.
func newHandler(o *options, signed *tokens, center *bachata.Center, logger *slog.Logger) *bachata.Handler {
	h := &bachata.Handler{
		Center:       center,
		Authenticate: openChannel,
		Subprotocols: []string{subprotocol},
		Origins:      o.origins,
		// Twice the window, as Handler asks for, and room for the largest message that goes alone.
		MaxPending:  max(minPending, 2*o.windowBytes, 2*o.maxMessage),
		Logger:      logger,
		OnAuthError: (&refusedLog{to: logger}).write,
	}
	if signed != nil {
		h.Authenticate = signed.authenticate
	}
	h.Portable = o.portable
	if o.compress {
		h.Compression = new(bachata.Compression)
	}
	return h
}

// refusedLog logs who was not let in, of each reason at most one a second: with a new key all clients come again with their old
// tokens, and strangers may come at any rate. With debug it logs all.
type refusedLog struct {
	to *slog.Logger

	mu      sync.Mutex
	reasons map[string]*refusedFor // they are a dozen
}

type refusedFor struct {
	said       time.Time
	suppressed int
}

func (l *refusedLog) write(r *http.Request, err error) {
	reason := err.Error()
	if refusal, ok := errors.AsType[*bachata.Refusal](err); ok {
		reason = refusal.Reason
	}
	if more, ok := l.next(reason, time.Now()); ok || l.to.Enabled(r.Context(), slog.LevelDebug) {
		l.to.Info("connection refused", "remote", r.RemoteAddr, "reason", reason, "suppressed", more)
	}
}

// next reports whether one is to be logged, and how many before it were not.
func (l *refusedLog) next(reason string, now time.Time) (more int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.reasons[reason]
	if k == nil {
		k = new(refusedFor)
		if l.reasons == nil {
			l.reasons = make(map[string]*refusedFor)
		}
		l.reasons[reason] = k
	}
	if now.Sub(k.said) < time.Second {
		k.suppressed++
		return 0, false
	}
	more, k.suppressed = k.suppressed, 0
	k.said = now
	return more, true
}

// newMux puts the server's parts under their paths.
func newMux(o *options, signed *tokens, messages *bachata.Handler, healthz *health) (http.Handler, error) {
	signIn := "name"
	if signed != nil {
		signIn = "token"
	}
	chat, err := newPage(signIn)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/messages", messages)
	mux.Handle("/healthz", healthz)
	mux.Handle("/", chat)
	if signed == nil && !o.allowAnyone {
		return localOnly(mux), nil
	}
	return mux, nil
}

// localOnly refuses requests that name another host than this machine.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocalRequest(r) {
			http.Error(w, "open channels are served to this machine only: use localhost or a loopback address", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// listen takes the address. Open channels are kept off an address that others can reach, also where its name hid that.
func listen(ctx context.Context, o *options) (net.Listener, error) {
	source := o.sources["listen"]
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %q is taken by another program: stop that one, or choose another port (0 takes any free one)", source, o.listen)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: %q is not allowed for this user: ports below 1024 need rights, choose one above", source, o.listen)
	case err != nil:
		return nil, fmt.Errorf("%s: can't listen on %q: %w", source, o.listen, err)
	}
	if o.jwtSecretFile == "" && o.jwtPublicKeyFile == "" && !o.allowAnyone && !isLoopback(l.Addr().String()) {
		l.Close()
		return nil, usagef(reachable, source, l.Addr().String())
	}
	return l, nil
}

// openQueue opens the queue that the options name; the function returned closes it.
func openQueue(ctx context.Context, o *options, logger *slog.Logger) (bachata.Queue, func() error, error) {
	common := bachata.QueueOptions{
		Simple:        o.simple,
		Dedupe:        o.dedupe,
		InboxMessages: o.inboxMessages,
		InboxBytes:    o.inboxBytes,
		InboxAge:      o.inboxAge,
		Logger:        logger,
	}
	source := o.sources["queue"]
	switch o.queue.kind {
	case "memory":
		q := memory.New(&common)
		return q, q.Close, nil
	case "redis":
		q, err := openRedis(ctx, o, common)
		if err != nil {
			return nil, nil, err
		}
		return q, q.Close, nil
	}
	q, err := disk.Open(o.queue.at, &disk.Options{QueueOptions: common})
	damage, isDamage := errors.AsType[*seglog.DamageError](err)
	switch {
	case errors.Is(err, disk.ErrLocked):
		return nil, nil, fmt.Errorf("%s: %q is in use by another process: stop that one, or choose another folder", source, o.queue.at)
	case errors.Is(err, disk.ErrVersion):
		return nil, nil, fmt.Errorf("%s: %q was written by another version of bachata: use that one, or choose another folder (%w)", source, o.queue.at, err)
	case isDamage:
		return nil, nil, fmt.Errorf("%s: %w\nNothing is served from a damaged queue. \"bachata disk check %s\" names all damage. "+
			"Put a copy of the folder back, or copy what is good of it into another one with \"bachata disk salvage %s NEW\"", source, damage, o.queue.at, o.queue.at)
	case errors.Is(err, syscall.ENOTDIR):
		return nil, nil, fmt.Errorf("%s: %q is no folder: choose another one (%w)", source, o.queue.at, err)
	case errors.Is(err, syscall.ENOSPC):
		return nil, nil, fmt.Errorf("%s: the disk of %q is full: make room, or choose another folder (%w)", source, o.queue.at, err)
	case errors.Is(err, fs.ErrPermission):
		return nil, nil, fmt.Errorf("%s: this user may not write to %q: change its owner, or choose another folder (%w)", source, o.queue.at, err)
	case err != nil:
		return nil, nil, fmt.Errorf("%s: %w", source, err)
	}
	return q, q.Close, nil
}

func newLogger(spec logSpec, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: spec.level}
	switch {
	case spec.off:
		return slog.New(slog.DiscardHandler)
	case spec.json:
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
