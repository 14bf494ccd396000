package bachata

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

// Listener is what a server with many connections accepts them from. Pass it to http.Server.Serve or ServeTLS:
//
//   - Over TLS, a connection of it is polled like a plain one (on Linux): while it is idle it has no goroutine, and no
//     buffer but what crypto/tls keeps. Without it, it has both.
//   - When file descriptors are used up, it waits until some are free, and says so in the log, once in ten minutes. What is connected
//     goes on.
//
// It listens for TCP; what another listener accepts is passed on as it is.
type Listener struct {
	net.Listener
	log    *slog.Logger
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	told time.Time // when the log was told
}

const (
	minAcceptWait = 5 * time.Millisecond
	maxAcceptWait = time.Second
	tellEvery     = 10 * time.Minute
)

// NewListener makes a Listener of l, which is closed with it. A nil log means silence.
func NewListener(l net.Listener, log *slog.Logger) *Listener {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Listener{Listener: l, log: log, closed: make(chan struct{})}
}

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	for wait := minAcceptWait; ; wait = min(2*wait, maxAcceptWait) {
		nc, err := l.Listener.Accept()
		if err == nil {
			if tcp, ok := nc.(*net.TCPConn); ok {
				return &wire{tcp: tcp}, nil
			}
			return nc, nil
		}
		if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
			return nil, err
		}
		l.tell(err)
		select {
		case <-time.After(wait):
		case <-l.closed:
			return nil, net.ErrClosed
		}
	}
}

// tell logs that descriptors are used up, unless it has just done so.
func (l *Listener) tell(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.told.IsZero() || now.Sub(l.told) > tellEvery {
		l.told = now
		l.log.Error("no connection can be accepted until file descriptors are free; raise their limit", "error", err)
	}
}

// Close ends accepting.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// wire is a TCP connection whose descriptor can be taken from below TLS. From then on it belongs to a conn: what is
// called on it is called by crypto/tls, with conn.mu held, and nothing of it waits.
type wire struct {
	tcp  *net.TCPConn // nil when the descriptor was taken
	conn *conn
	more bool // there may be something to read
}

// Read reads; of a descriptor that was taken, nothing is the error EAGAIN. crypto/tls sees that it is temporary, and
// keeps what it has of a record.
func (w *wire) Read(b []byte) (int, error) {
	if w.tcp != nil {
		return w.tcp.Read(b)
	}
	if !w.more && !w.conn.ended.Load() {
		return 0, syscall.EAGAIN
	}
	n, err := readNow(w.conn.fd, b)
	w.more = n == len(b)
	return n, err
}

// Write writes all of b, or keeps it to be written.
func (w *wire) Write(b []byte) (int, error) {
	switch {
	case w.tcp != nil:
		return w.tcp.Write(b)
	case w.conn.closed: // the alert at the end, which may get lost
		return writeNow(w.conn.fd, b)
	}
	if err := w.conn.put(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close closes the connection; one whose descriptor was taken is closed by its conn.
func (w *wire) Close() error {
	if w.tcp == nil {
		return nil
	}
	return w.tcp.Close()
}

// CloseWrite ends this side.
func (w *wire) CloseWrite() error {
	if w.tcp == nil {
		return nil
	}
	return w.tcp.CloseWrite()
}

// ReadFrom lets a file be sent by the kernel.
func (w *wire) ReadFrom(r io.Reader) (int64, error) {
	if w.tcp == nil {
		return io.Copy(struct{ io.Writer }{w}, r)
	}
	return w.tcp.ReadFrom(r)
}

// SyscallConn gives access to the descriptor.
func (w *wire) SyscallConn() (syscall.RawConn, error) {
	if w.tcp == nil {
		return nil, net.ErrClosed
	}
	return w.tcp.SyscallConn()
}

// LocalAddr returns this end's address; nil if the descriptor was taken.
func (w *wire) LocalAddr() net.Addr {
	if w.tcp == nil {
		return nil
	}
	return w.tcp.LocalAddr()
}

// RemoteAddr returns the other end's address; nil if the descriptor was taken.
func (w *wire) RemoteAddr() net.Addr {
	if w.tcp == nil {
		return nil
	}
	return w.tcp.RemoteAddr()
}

// SetDeadline bounds reading and writing; what does not wait needs no bound.
func (w *wire) SetDeadline(t time.Time) error {
	if w.tcp == nil {
		return nil
	}
	return w.tcp.SetDeadline(t)
}

// SetReadDeadline is like SetDeadline.
func (w *wire) SetReadDeadline(t time.Time) error {
	if w.tcp == nil {
		return nil
	}
	return w.tcp.SetReadDeadline(t)
}

// SetWriteDeadline is like SetDeadline.
func (w *wire) SetWriteDeadline(t time.Time) error {
	if w.tcp == nil {
		return nil
	}
	return w.tcp.SetWriteDeadline(t)
}

// SetNoDelay has small frames sent at once, or not.
func (w *wire) SetNoDelay(on bool) error {
	if w.tcp == nil {
		return nil
	}
	return w.tcp.SetNoDelay(on)
}

// SetLinger says what becomes of unsent bytes when the connection is closed.
func (w *wire) SetLinger(seconds int) error {
	if w.tcp == nil {
		return nil
	}
	return w.tcp.SetLinger(seconds)
}
