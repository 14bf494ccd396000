//go:build linux

package serve

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bachata-go/bachata/bench/internal/proc"
	"github.com/bachata-go/bachata/bench/internal/wire"
)

// pingEvery is how often the floor pings a socket that only listens: as often as the handler does by default.
const pingEvery = 25 * time.Second

// floorServer moves the bytes and does nothing else: one thread, an epoll loop on raw system calls, one read a readable
// event, one write a destination a loop. It shakes hands by text search, takes the lengths of the frames for granted,
// and answers with what the first message would be answered with.
type floorServer struct {
	epoll    int
	listener int
	conns    map[int32]*floorConn
	byName   map[string]*floorConn
	members  []*floorConn // of the fan-out
	idle     []*floorConn
	dirty    []*floorConn

	nextIdle int // of those that listen, who is pinged next
	pings    atomic.Int64
}

type floorConn struct {
	fd   int
	name string
	open bool // the handshake is done
	idle bool

	partial int // bytes of a frame that is not whole
	frame   int // length of a frame that it sends

	self, other []byte // what one frame is answered with, here and at the other side
	all         []byte // and at all members
	out         []byte
}

func runFloor() error {
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // it would wait for a thread that waits in epoll, and there is no garbage
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	s := &floorServer{listener: int(f.Fd()), conns: map[int32]*floorConn{}, byName: map[string]*floorConn{}}
	if s.epoll, err = syscall.EpollCreate1(0); err != nil {
		return err
	}
	if err := syscall.SetNonblock(s.listener, true); err != nil {
		return err
	}
	if err := s.watch(s.listener); err != nil {
		return err
	}
	proc.Ready(l.Addr().String(), s.pings.Load)
	return s.loop()
}

func (s *floorServer) watch(fd int) error {
	return syscall.EpollCtl(s.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
}

func (s *floorServer) loop() error {
	events := make([]syscall.EpollEvent, 256)
	buf := make([]byte, 64<<10)
	tick := time.Now()
	timeout := -1
	for {
		n, e := waitRaw(s.epoll, events, timeout)
		if e != 0 && e != syscall.EINTR {
			return e
		}
		for _, e := range events[:max(n, 0)] {
			if int(e.Fd) == s.listener {
				s.accept()
				continue
			}
			c := s.conns[e.Fd]
			m, err := readRaw(c.fd, buf)
			if m <= 0 || err != 0 {
				s.drop(c)
				continue
			}
			s.take(c, buf[:m])
		}
		for _, c := range s.dirty {
			writeRaw(c.fd, c.out)
			c.out = c.out[:0]
		}
		s.dirty = s.dirty[:0]
		if len(s.idle) > 0 {
			if passed := time.Since(tick); passed >= time.Second {
				tick = tick.Add(passed)
				s.ping(passed)
			}
			timeout = int(time.Until(tick.Add(time.Second))/time.Millisecond) + 1
		}
	}
}

// ping pings as many of the sockets that listen as are due after a tick.
func (s *floorServer) ping(passed time.Duration) {
	for range int(int64(len(s.idle)) * int64(passed) / int64(pingEvery)) {
		s.nextIdle = (s.nextIdle + 1) % len(s.idle)
		writeRaw(s.idle[s.nextIdle].fd, []byte{0x80 | wire.Ping, 0})
		s.pings.Add(1)
	}
}

func (s *floorServer) accept() {
	fd, _, err := syscall.Accept4(s.listener, syscall.SOCK_NONBLOCK)
	if err != nil {
		return
	}
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	s.conns[int32(fd)] = &floorConn{fd: fd}
	_ = s.watch(fd)
}

func (s *floorServer) drop(c *floorConn) {
	delete(s.conns, int32(c.fd))
	_ = syscall.Close(c.fd)
}

// take answers the frames that came.
func (s *floorServer) take(c *floorConn, data []byte) {
	if !c.open {
		s.shake(c, data)
		return
	}
	if c.idle {
		return // a pong
	}
	c.partial += len(data)
	n := c.partial / c.frame
	c.partial -= n * c.frame
	if n == 0 {
		return
	}
	var other *floorConn
	if c.other != nil {
		other = s.byName[peerOf(c.name)]
	}
	for range n {
		s.answer(c, c.self)
		s.answer(other, c.other)
		if c.all != nil {
			for _, m := range s.members {
				s.answer(m, c.all)
			}
		}
	}
}

func (s *floorServer) answer(c *floorConn, frame []byte) {
	if len(frame) == 0 || c == nil {
		return
	}
	if len(c.out) == 0 {
		s.dirty = append(s.dirty, c)
	}
	c.out = append(c.out, frame...)
}

// peerOf names who else hears of what name sends.
func peerOf(name string) string {
	switch name[0] {
	case 'a':
		return "b" + name[1:]
	case 'b':
		return "a" + name[1:]
	default:
		return wire.Name('s', 0)
	}
}

// shake answers the handshake and learns whose connection this is.
func (s *floorServer) shake(c *floorConn, request []byte) {
	at := bytes.Index(request, []byte("channel="))
	if at < 0 || len(request) < at+len("channel=")+wire.NameLen {
		s.drop(c)
		return
	}
	c.name = string(request[at+len("channel="):][:wire.NameLen])
	c.open = true
	frame := func(text string) []byte { return wire.AppendServer(nil, text) }
	sends := func(text string) int { return len(wire.AppendClient(nil, wire.Text, text)) }
	confirm := wire.Confirm(fmt.Sprintf("%016x", 0))
	peer := peerOf(c.name)
	switch c.name[0] {
	case 'a':
		c.frame = sends(wire.Message(peer, 0))
		c.self = frame(wire.Accepted(0))
		c.other = frame(wire.Delivered(c.name, peer, 0))
	case 'b':
		c.frame = sends(confirm)
		c.other = frame(wire.Receipt(c.name, c.name, 0))
	case 's':
		c.frame = sends(wire.Message(wire.GroupName, 0))
		c.self = frame(wire.Accepted(0))
		c.all = frame(wire.Delivered(c.name, wire.GroupName, 0))
	case 'r':
		c.frame = sends(confirm)
		c.other = frame(wire.Receipt(c.name, wire.GroupName, 0))
		s.members = append(s.members, c)
	default:
		c.idle = true
		s.idle = append(s.idle, c)
	}
	s.byName[c.name] = c
	writeRaw(c.fd, append([]byte(wire.Switching), frame(wire.Ready)...))
}
