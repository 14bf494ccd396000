package main_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// A server whose file descriptors are used up accepts nobody until some are free, says so once, and goes on serving
// those who are connected, also the one who got the last of them.
func TestDescriptorsUsedUp(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--queue", "memory")
	anna := dial(t, s, "?channel=anna", nil)
	anna.waitsFor(1000)
	pid := s.command.Process.Pid
	// One more can be accepted, and then not be duplicated, as polling it takes: it is served all the same.
	limitDescriptors(t, pid, unused(t, pid, 1))
	carl := dial(t, s, "?channel=carl", nil)
	carl.waitsFor(1000)
	carl.send(`{"id":"1","type":"direct","dest":"carl"}`)
	carl.waitsFor(100)
	limitDescriptors(t, pid, unused(t, pid, 4))
	var crowd []net.Conn
	for range 10 {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		crowd = append(crowd, c)
	}
	const told = "no connection can be accepted"
	for deadline := time.Now().Add(stepTimeout); !strings.Contains(s.output(), told); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say that descriptors are used up: %s", s.output())
		}
	}
	anna.send(`{"id":"1","type":"direct","dest":"anna"}`)
	anna.waitsFor(100)
	for _, c := range crowd {
		c.Close()
	}
	bob := dial(t, s, "?channel=bob", nil)
	bob.waitsFor(1000)
	if n := strings.Count(s.output(), told); n != 1 {
		t.Errorf("the log says it %d times, want once", n)
	}
}

// unused returns the limit below which a process has so many descriptors left.
func unused(t *testing.T, pid, left int) (limit uint64) {
	t.Helper()
	for ; ; limit++ {
		if _, err := os.Lstat(fmt.Sprintf("/proc/%d/fd/%d", pid, limit)); err == nil {
			continue
		}
		if left == 0 {
			return limit
		}
		left--
	}
}

// limitDescriptors changes the limit of a process that runs.
func limitDescriptors(t *testing.T, pid int, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil { // which it has too
		t.Fatal(err)
	}
	limit.Cur = n
	if _, _, e := syscall.Syscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_NOFILE,
		uintptr(unsafe.Pointer(&limit)), 0, 0, 0); e != 0 {
		t.Fatal(e)
	}
}
