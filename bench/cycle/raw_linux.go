package main

import (
	"syscall"
	"unsafe"
)

// readRaw and writeRaw are system calls without the scheduler's bookkeeping: the floor has one thread and never blocks in
// them.

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
