//go:build linux

package proc

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// port is a port of the loopback address that is kept for one server, also while that does not run.
type port struct {
	number int
	fd     int // a socket that is bound to it and never listens; -1 when closed
}

// reservePort finds a port that nobody has. It is below the ports that the kernel gives to outgoing connections: among
// those, a client that keeps dialing a port while the server is down is one day given that very port, and connects to
// itself.
func reservePort() (*port, error) {
	const first, last = 20000, 32000
	for i := range last - first {
		number := first + (os.Getpid()*37+i)%(last-first)
		fd, err := bind(number)
		if err == nil {
			return &port{number, fd}, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("reserve port %d: %w", number, err)
		}
	}
	return nil, fmt.Errorf("proc: no port is free from %d to %d", first, last)
}

// bind takes a port for itself, and then lets others in that, like Go's listeners, have SO_REUSEADDR set: those are not
// kept out by a socket that does not listen. Another reservation does not have it set and is kept out.
func bind(number int) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = syscall.Bind(fd, &syscall.SockaddrInet4{Port: number, Addr: [4]byte{127, 0, 0, 1}})
	if err == nil {
		err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	}
	if err != nil {
		return -1, errors.Join(err, syscall.Close(fd))
	}
	return fd, nil
}

func (p *port) close() error {
	if p.fd < 0 {
		return nil
	}
	fd := p.fd
	p.fd = -1
	return syscall.Close(fd)
}
