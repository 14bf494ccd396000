package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
)

// floorServer moves the bytes of the cycle and does nothing else: one thread, an epoll loop on raw system calls, one read
// a readable event, one write a destination a loop. It shakes hands by text search, takes the lengths of the frames for
// granted, and answers with what the first message of a pair would be answered with.
type floorServer struct {
	epoll    int
	listener int
	conns    map[int32]*floorConn
	byName   map[string]*floorConn
	dirty    []*floorConn

	reads, writes, waits atomic.Int64
}

type floorConn struct {
	fd   int
	peer string // name of the other side of the pair
	send bool   // it is the sender's

	open    bool // the handshake is done
	partial int  // bytes of a frame that is not whole
	frame   int  // length of a frame that it sends

	self, other []byte // what one frame is answered with, here and at the other side
	out         []byte
}

func runFloor() error {
	runtime.LockOSThread()
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
	if err := s.watch(s.listener); err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go s.report()
	return s.loop()
}

func (s *floorServer) watch(fd int) error {
	return syscall.EpollCtl(s.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
}

// report prints the system calls so far for each line that comes.
func (s *floorServer) report() {
	one := make([]byte, 1)
	for {
		if n, err := os.Stdin.Read(one); n == 0 || err != nil {
			os.Exit(0)
		}
		fmt.Printf("%d %d\n", s.reads.Load(), s.writes.Load())
	}
}

func (s *floorServer) loop() error {
	events := make([]syscall.EpollEvent, 256)
	buf := make([]byte, 64<<10)
	for {
		n, err := syscall.EpollWait(s.epoll, events, -1)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range events[:n] {
			if int(e.Fd) == s.listener {
				s.accept()
				continue
			}
			c := s.conns[e.Fd]
			m, err := readRaw(c.fd, buf)
			s.reads.Add(1)
			if m <= 0 || err != 0 {
				s.drop(c)
				continue
			}
			s.take(c, buf[:m])
		}
		for _, c := range s.dirty {
			writeRaw(c.fd, c.out)
			s.writes.Add(1)
			c.out = c.out[:0]
		}
		s.dirty = s.dirty[:0]
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
	c.partial += len(data)
	n := c.partial / c.frame
	c.partial -= n * c.frame
	if n == 0 {
		return
	}
	other := s.byName[c.peer]
	for range n {
		s.answer(c, c.self)
		s.answer(other, c.other)
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

// shake answers the handshake and learns which side of which pair this is.
func (s *floorServer) shake(c *floorConn, request []byte) {
	at := bytes.Index(request, []byte("channel="))
	name := string(request[at+len("channel="):][:5])
	var pair int
	_, _ = fmt.Sscanf(name[1:], "%d", &pair)
	s.byName[name] = c
	c.open = true
	c.send = strings.HasPrefix(name, "a")
	if c.send {
		c.peer = "b" + name[1:]
		c.frame = len(appendClientFrame(nil, messageText(pair, 0)))
		c.self = appendServerFrame(nil, acceptedText(0))
		c.other = appendServerFrame(nil, delivered(pair, 0))
	} else {
		c.peer = "a" + name[1:]
		c.frame = len(appendClientFrame(nil, confirmText(0)))
		c.other = appendServerFrame(nil, deliveredText(pair, 0))
	}
	writeRaw(c.fd, []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"))
	writeRaw(c.fd, appendServerFrame(nil, `{"type":1000}`))
}
