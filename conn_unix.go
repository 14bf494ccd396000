//go:build unix

package bachata

import (
	"io"
	"net"
	"syscall"
)

// rawConn returns what reads and writes nc without blocking, or nil. A type that wraps a TCP connection may promote
// its SyscallConn and yet do something of its own in Read and Write: only the net package's own types qualify.
func rawConn(nc net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	var err error
	switch nc := nc.(type) {
	case *net.TCPConn:
		raw, err = nc.SyscallConn()
	case *wire:
		raw, err = nc.SyscallConn()
	case *net.UnixConn:
		raw, err = nc.SyscallConn()
	}
	if err != nil {
		return nil
	}
	return raw
}

// read reads what is there; nothing is the error EAGAIN.
func (in *input) read(fd uintptr) {
	for {
		n, err := syscall.Read(int(fd), in.buf[:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == nil && n == 0:
			err = io.EOF
		}
		in.n, in.err = max(n, 0), err
		return
	}
}

// tryWrite writes until all is written or the kernel takes no more; it never waits.
func (o *output) tryWrite(fd uintptr) bool {
	for len(o.b) > 0 {
		n, err := syscall.Write(int(fd), o.b)
		if n > 0 {
			o.b = o.b[n:]
		}
		switch err {
		case nil, syscall.EINTR:
		case syscall.EAGAIN:
			return true
		default:
			o.err = err
			return true
		}
	}
	return true
}
