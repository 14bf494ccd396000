//go:build linux

package serve

import (
	"syscall"
	"unsafe"
)

// readRaw, writeRaw and waitRaw are system calls without the scheduler's bookkeeping: the floor has a thread for itself,
// and no garbage collector that would wait for it.

func readRaw(fd int, p []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), e
}

func writeRaw(fd int, p []byte) {
	for len(p) > 0 {
		n, _, e := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		if e == syscall.EAGAIN {
			continue // the floor has no bookkeeping for that; the load never fills a buffer
		}
		if e != 0 {
			return
		}
		p = p[n:]
	}
}

func waitRaw(epoll int, events []syscall.EpollEvent, timeout int) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(timeout), 0, 0)
	return int(n), e
}
