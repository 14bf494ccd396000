package bachata

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Listener is what a server with many connections accepts them from. Pass it to http.Server.Serve or ServeTLS:
//
//   - Over TLS, a connection of it is polled like a plain one (on Linux): while it is idle it has no goroutine, and no
//     buffer but what crypto/tls keeps. Without it, it has both. See also TLSConfig.
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
	tcp   *net.TCPConn // nil when the descriptor was taken
	conn  *conn
	hello *hello // nil unless there is something left to do with it
	begun bool   // something was read
	more  bool   // there may be something to read

	answers bool // what is written is nothing but answers
}

// Read reads; of a descriptor that was taken, nothing is the error EAGAIN. crypto/tls sees that it is temporary, and
// keeps what it has of a record.
func (w *wire) Read(b []byte) (int, error) {
	if w.tcp != nil {
		return w.readFirst(b)
	}
	if !w.more && !w.conn.ended.Load() {
		return 0, syscall.EAGAIN
	}
	n, err := readNow(w.conn.fd, b)
	w.more = n == len(b)
	return n, err
}

// hello is a client's first message in several records, or what was changed of it.
//
// crypto/tls keeps the buffers that reading has grown, one for a record and one for a message. The first message has
// a post-quantum key in it and about 1.5 KB, more than an idle client ever sends again. A message may come in several
// records, which are no part of what both sides hash (RFC 8446, sections 4.4.1 and 5.1): split, it costs a connection 1.4 KB
// less for as long as it lasts.
type hello struct {
	records []byte
	size    int // of each but the last

	suites []uint16 // what crypto/tls has read of it; nil unless they are to be in order again
	order  []uint16 // of the client
}

const (
	recordHandshake = 22
	recordHeader    = 5
	recordMost      = 1 << 14 // bytes of a record besides its header
	helloPiece      = 512     // what crypto/tls has room for in any case, and no less
)

// readFirst reads what comes before the descriptor is taken.
func (w *wire) readFirst(b []byte) (int, error) {
	switch h := w.hello; {
	case h == nil:
	case h.suites != nil:
		copy(h.suites, h.order)
		w.hello = nil
	default:
		return w.readHello(b), nil
	}
	n, err := w.tcp.Read(b)
	if w.begun || n == 0 {
		return n, err
	}
	w.begun = true
	if n < recordHeader || b[0] != recordHandshake {
		return n, err
	}
	length := int(binary.BigEndian.Uint16(b[3:]))
	if n >= recordHeader+length || length > recordMost {
		return n, err
	}
	record := make([]byte, recordHeader+length)
	if _, err := io.ReadFull(w.tcp, record[copy(record, b[:n]):]); err != nil {
		return 0, err
	}
	w.hello = splitRecord(record)
	return w.readHello(b), nil
}

// readHello hands on the next record of the client's first message.
func (w *wire) readHello(b []byte) int {
	h := w.hello
	n := copy(b, h.records[:min(len(h.records), h.size)])
	if h.records = h.records[n:]; len(h.records) == 0 {
		w.hello = nil
	}
	return n
}

// splitRecord makes several records of one. Their size is halved until it fits, because a buffer to which they are appended
// doubles: it ends with no more room than for the whole.
func splitRecord(record []byte) *hello {
	payload := record[recordHeader:]
	piece := len(payload)
	for piece > helloPiece {
		piece = (piece + 1) / 2
	}
	h := &hello{size: recordHeader + piece}
	for part := range slices.Chunk(payload, piece) {
		h.records = append(h.records, record[:3]...) // type and version
		h.records = binary.BigEndian.AppendUint16(h.records, uint16(len(part)))
		h.records = append(h.records, part...)
	}
	return h
}

// Write writes all of b, or keeps it to be written.
func (w *wire) Write(b []byte) (int, error) {
	switch {
	case w.tcp != nil:
		return w.tcp.Write(b)
	case w.conn.closed: // the alert at the end, which may get lost
		return writeNow(w.conn.fd, b)
	}
	if err := w.conn.put(b, w.answers); err != nil {
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
