package bachata

import (
	"encoding/binary"
	"io"
	"net/netip"
	"syscall"
	"unsafe"
)

// The system calls of polled connections. Those that never wait go past the scheduler's bookkeeping of calls that might:
// it would cost as much as the switch to the kernel itself.

// readNow reads what is there; nothing is the error EAGAIN, the end io.EOF.
func readNow(fd int32, b []byte) (int, error) {
	for {
		n, _, e := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch {
		case e == syscall.EINTR:
		case e == syscall.EAGAIN:
			return 0, syscall.EAGAIN // a constant: an errno made an error would be allocated
		case e != 0:
			return 0, e
		case n == 0:
			return 0, io.EOF
		default:
			return int(n), nil
		}
	}
}

// writeNow writes until all is written, or the kernel takes no more, which is the error EAGAIN.
func writeNow(fd int32, b []byte) (n int, err error) {
	for n < len(b) {
		m, _, e := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[n])), uintptr(len(b)-n))
		switch {
		case e == syscall.EINTR:
		case e == syscall.EAGAIN:
			return n, syscall.EAGAIN
		case e != 0:
			return n, e
		default:
			n += int(m)
		}
	}
	return n, nil
}

// epollNow returns the events that are there.
func epollNow(epoll int, events []syscall.EpollEvent) int {
	n, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}

// epollWait waits for events.
func epollWait(epoll int, events []syscall.EpollEvent) int {
	n, err := syscall.EpollWait(epoll, events, -1)
	if err != nil {
		return 0
	}
	return n
}

func epollControl(epoll, op int, fd int32, events uint32) error {
	event := syscall.EpollEvent{Events: events, Fd: fd}
	_, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(epoll), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&event)), 0, 0)
	if e != 0 {
		return e
	}
	return nil
}

func duplicate(fd uintptr) (int32, error) {
	n, _, e := syscall.RawSyscall(syscall.SYS_FCNTL, fd, syscall.F_DUPFD_CLOEXEC, 0)
	if e != 0 {
		return -1, e
	}
	return int32(n), nil
}

// newEvent returns a descriptor that becomes readable when signal is called on it.
func newEvent() (int32, error) {
	n, _, e := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if e != 0 {
		return -1, e
	}
	return int32(n), nil
}

func signal(event int32) {
	one := [8]byte{1, 1, 1, 1, 1, 1, 1} // any number, in whichever order of bytes
	_, _ = writeNow(event, one[:])
}

// untaken returns how many bytes the kernel keeps that the client's kernel has not taken; none if it does not say.
func untaken(fd uintptr) uint64 {
	var n int32
	_, _, e := syscall.RawSyscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&n)))
	if e != 0 {
		return 0
	}
	return uint64(n)
}

// bytesAcked is where tcpi_bytes_acked stands in struct tcp_info of linux/tcp.h, since Linux 4.1.
const bytesAcked = 120

// taken returns how many bytes the client's kernel has taken since the connection began; none if the kernel does not say.
func taken(fd uintptr) uint64 {
	var info [bytesAcked + 8]byte
	size := uint32(len(info))
	_, _, e := syscall.RawSyscall6(sysGetsockopt, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if e != 0 || size < uint32(len(info)) {
		return 0
	}
	return binary.NativeEndian.Uint64(info[bytesAcked:])
}

func noLinger(fd int32) {
	_ = syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
}

func noKeepAlive(fd int32) {
	_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 0)
}

func shutdownWrite(fd int32) { _ = syscall.Shutdown(int(fd), syscall.SHUT_WR) }

// remoteOf returns the address of the other end.
func remoteOf(fd int32) string {
	address, err := syscall.Getpeername(int(fd))
	if err != nil {
		return "unknown"
	}
	switch a := address.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)).String()
	}
	return "local"
}
