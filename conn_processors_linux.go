package bachata

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// processors says whether the machine has one that is idle.
type processors struct {
	own     int // how many this process may use
	loadavg int // descriptor of /proc/loadavg; negative if the kernel is not asked
}

// openProcessors is told how many processors this process may use. If the machine has more, the kernel is not asked: it counts
// the threads of all, which says nothing of a part.
func openProcessors(own int) processors {
	online, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil || countListed(string(online)) != own {
		return processors{own, -1}
	}
	fd, err := syscall.Open("/proc/loadavg", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	return processors{own, fd}
}

// idle reports whether fewer threads run than this process has processors. It counts those of other processes too, and
// those of other containers. If the kernel does not say, one is taken to be idle. It costs a system call; one that may wait,
// for in some containers it is a process that says it (lxcfs).
func (p processors) idle() bool {
	var text [64]byte
	n, err := syscall.Pread(p.loadavg, text[:], 0)
	if err != nil {
		return true
	}
	running, ok := runningThreads(text[:n])
	return !ok || running < p.own
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

// countListed counts what a list of the kernel's names, such as "0-3,6" (cpuset(7)); 0 if it is none.
func countListed(list string) (n int) {
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || last < first {
			return 0
		}
		n += last - first + 1
	}
	return n
}

func (p processors) close() {
	if p.loadavg >= 0 {
		_ = syscall.Close(p.loadavg)
	}
}
