package bachata

import (
	"bytes"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"
)

// processors says whether the machine has one that is idle.
type processors struct {
	loadavg int // its descriptor; negative if there is none
}

func openProcessors() processors {
	fd, err := syscall.Open("/proc/loadavg", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	return processors{fd}
}

// idle reports whether fewer threads run than this process has processors. It counts those of other processes too, and
// those of other containers. If the kernel does not say, one is taken to be idle. It costs a system call.
func (p processors) idle() bool {
	var text [64]byte
	n, _, e := syscall.RawSyscall6(syscall.SYS_PREAD64, uintptr(p.loadavg), uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)), 0, 0, 0)
	if e != 0 {
		return true
	}
	running, ok := runningThreads(text[:n])
	return !ok || running < runtime.NumCPU()
}

// runningThreads takes from what /proc/loadavg says (proc_loadavg(5)) how many threads run or could.
func runningThreads(loadavg []byte) (n int, ok bool) {
	head, _, ok := bytes.Cut(loadavg, []byte("/"))
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(string(head[bytes.LastIndexByte(head, ' ')+1:]))
	return n, err == nil
}

func (p processors) close() {
	if p.loadavg >= 0 {
		_ = syscall.Close(p.loadavg)
	}
}
