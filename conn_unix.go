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
	case *net.UnixConn:
		raw, err = nc.SyscallConn()
	}
	if err != nil {
		return nil
	}
	return raw
}

// tryRead reads what is there into a pooled buffer. It returns false, to wait, only after it gave the buffer back.
func (c *conn) tryRead(fd uintptr) bool {
	in := c.h.buffers.input()
	for {
		n, err := syscall.Read(int(fd), in.buf[:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			c.h.buffers.putInput(in)
			return false
		case err != nil:
			in.err = err
		case n == 0:
			in.err = io.EOF
		default:
			in.n = n
		}
		c.got = in
		return true
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
