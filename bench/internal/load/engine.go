//go:build linux

package load

import (
	"bytes"
	"fmt"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"github.com/bachata-go/bachata/bench/internal/wire"
)

// Engine is many clients in one thread: an epoll loop that reads what is there, and writes once a loop to each. It takes
// less of the machine than a goroutine a client, and its own delays are the same whoever is measured. It is used from one
// goroutine, locked to its thread.
type Engine struct {
	Dialect *Dialect
	// Handle is called for every message; what it says goes out at the end of the loop.
	Handle func(c *Conn, k Kind, text []byte)
	Pings  int64

	epoll  int
	conns  map[int32]*Conn
	dirty  []*Conn
	events []syscall.EpollEvent
	buf    []byte
	err    error
}

// Conn is one client of an engine.
type Conn struct {
	Name   string
	Number int

	fd    int32
	part  []byte // of a frame that is not whole
	out   []byte
	lines []byte
	dirty bool
}

// NewEngine makes an engine without clients.
func NewEngine(d *Dialect, handle func(c *Conn, k Kind, text []byte)) (*Engine, error) {
	e := &Engine{Dialect: d, Handle: handle, conns: map[int32]*Conn{}, events: make([]syscall.EpollEvent, 512), buf: make([]byte, 256<<10)}
	var err error
	e.epoll, err = syscall.EpollCreate1(0)
	return e, err
}

// source returns the loopback address from which client n connects: one address has ports for 28,000.
func source(n int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + n%8)}) }

// connect opens a blocking socket to a loopback address.
func connect(addr string, from netip.Addr) (int, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return -1, err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	const bindAddressNoPort = 24 // the port is chosen by connect, which knows that another address is free to have the same
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, bindAddressNoPort, 1)
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	_ = syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}) // leaves no port waiting
	_ = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 10})
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: from.As4()}); err != nil {
		_ = syscall.Close(fd)
		return -1, fmt.Errorf("bind %v: %w", from, err)
	}
	if err := again(func() error {
		return syscall.Connect(fd, &syscall.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	}); err != nil && err != syscall.EISCONN {
		_ = syscall.Close(fd)
		return -1, fmt.Errorf("connect: %w", err)
	}
	return fd, nil
}

// again repeats a call that a signal of Go's scheduler has interrupted.
func again(call func() error) error {
	for {
		if err := call(); err != syscall.EINTR {
			return err
		}
	}
}

// shake writes the handshake and reads its answer up to the first whole frame. It returns what it has read behind the
// answer, that frame included.
func shake(fd int, d *Dialect, name string, buf []byte) ([]byte, error) {
	if _, err := syscall.Write(fd, []byte(wire.Handshake(name))); err != nil {
		return nil, fmt.Errorf("shake hands: %w", err)
	}
	hello := d.Hello
	n := 0
	for {
		m := 0
		if err := again(func() (err error) { m, err = syscall.Read(fd, buf[n:]); return err }); err != nil || m == 0 {
			return nil, fmt.Errorf("shake hands: %d bytes, %v", m, err)
		}
		n += m
		_, frames, ok := bytes.Cut(buf[:n], []byte("\r\n\r\n"))
		if !ok {
			continue
		}
		if hello != "" {
			if _, err := syscall.Write(fd, wire.AppendClient(nil, wire.Text, hello)); err != nil {
				return nil, fmt.Errorf("say hello: %w", err)
			}
			hello = ""
		}
		if _, _, _, ok := wire.Next(frames); ok {
			return frames, nil
		}
	}
}

// Dial connects client n by that name.
func (e *Engine) Dial(addr, name string, n int) (*Conn, error) {
	fd, err := connect(addr, source(n))
	if err != nil {
		return nil, err
	}
	rest, err := shake(fd, e.Dialect, name, e.buf)
	if err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	c := &Conn{Name: name, Number: n, fd: int32(fd)}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	if err := syscall.EpollCtl(e.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: c.fd}); err != nil {
		return nil, err
	}
	e.conns[c.fd] = c
	e.take(c, rest)
	return c, e.flush()
}

// Say sends text at the end of the loop.
func (e *Engine) Say(c *Conn, text string) {
	c.out, c.lines = e.Dialect.appendText(c.out, c.lines, text)
	e.mark(c)
}

func (e *Engine) mark(c *Conn) {
	if !c.dirty {
		c.dirty = true
		e.dirty = append(e.dirty, c)
	}
}

// Loop writes what was said, waits for at most so long, and handles what comes.
func (e *Engine) Loop(wait time.Duration) error {
	if err := e.flush(); err != nil {
		return err
	}
	ts := syscall.NsecToTimespec(max(0, wait.Nanoseconds()))
	n, _, errno := syscall.Syscall6(sysEpollPwait2, uintptr(e.epoll), uintptr(unsafe.Pointer(&e.events[0])), uintptr(len(e.events)),
		uintptr(unsafe.Pointer(&ts)), 0, 0)
	if errno == syscall.EINTR {
		return nil
	}
	if errno != 0 {
		return fmt.Errorf("epoll_pwait2: %w", errno)
	}
	for _, event := range e.events[:n] {
		c := e.conns[event.Fd]
		m, err := syscall.Read(int(c.fd), e.buf)
		if err == syscall.EAGAIN || err == syscall.EINTR {
			continue
		}
		if err != nil || m == 0 {
			return fmt.Errorf("read of %s: %d bytes, %v", c.Name, m, err)
		}
		e.take(c, e.buf[:m])
	}
	if e.err != nil {
		return e.err
	}
	return e.flush()
}

const sysEpollPwait2 = 441 // on all architectures

func (e *Engine) take(c *Conn, data []byte) {
	if len(c.part) > 0 {
		c.part = append(c.part, data...)
		data = c.part
	}
	for {
		opcode, payload, rest, ok := wire.Next(data)
		if !ok {
			break
		}
		data = rest
		switch {
		case opcode == wire.Ping:
			e.Pings++
			c.out = wire.AppendClient(c.out, wire.Pong, string(payload))
			e.mark(c)
		case opcode == wire.Close:
			e.err = fmt.Errorf("%s was closed: %q", c.Name, payload)
		case e.Dialect.Join == "":
			e.one(c, payload)
		default:
			for line := range bytes.SplitSeq(payload, []byte(e.Dialect.Join)) {
				e.one(c, line)
			}
		}
	}
	c.part = append(c.part[:0], data...)
}

func (e *Engine) one(c *Conn, text []byte) {
	switch k := e.Dialect.kind(text); k {
	case pinged:
		e.Pings++
		e.Say(c, string(text))
	case refused:
		e.err = fmt.Errorf("%s was refused: %s", c.Name, text)
	default:
		e.Handle(c, k, text)
	}
}

// flush writes what was said. What a socket does not take is tried again in the next loop.
func (e *Engine) flush() error {
	left := e.dirty[:0]
	for _, c := range e.dirty {
		if len(c.lines) > 0 {
			c.out = wire.AppendClient(c.out, wire.Text, string(c.lines))
			c.lines = c.lines[:0]
		}
		n, err := syscall.Write(int(c.fd), c.out)
		if err != nil && err != syscall.EAGAIN {
			return fmt.Errorf("write of %s: %w", c.Name, err)
		}
		c.out = append(c.out[:0], c.out[max(n, 0):]...)
		if c.dirty = len(c.out) > 0; c.dirty {
			left = append(left, c)
		}
	}
	e.dirty = left
	return nil
}

// Close ends all clients.
func (e *Engine) Close() {
	for fd := range e.conns {
		_ = syscall.Close(int(fd))
	}
	_ = syscall.Close(e.epoll)
}

// Dial connects once, as the part connect measures it: until the first frame is there. The socket stays open.
func Dial(addr, name string, n int, d *Dialect, buf []byte) (fd int, err error) {
	if fd, err = connect(addr, source(n)); err != nil {
		return -1, err
	}
	_, err = shake(fd, d, name, buf)
	return fd, err
}
