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
// those who are connected.
func TestDescriptorsUsedUp(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--queue", "memory")
	anna := dial(t, s, "?channel=anna", nil)
	anna.waitsFor(1000)
	pid := s.command.Process.Pid
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	limitDescriptors(t, pid, uint64(len(open)+4))
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

// limitDescriptors changes the limit of a process that runs.
func limitDescriptors(t *testing.T, pid int, n uint64) {
	t.Helper()
	limit := syscall.Rlimit{Cur: n, Max: n}
	if _, _, e := syscall.Syscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_NOFILE,
		uintptr(unsafe.Pointer(&limit)), 0, 0, 0); e != 0 {
		t.Fatal(e)
	}
}
