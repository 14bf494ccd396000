package bachata

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

func TestRunningThreads(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"0.20 0.18 0.12 1/80 11206\n":          1,
		"104.20 99.18 80.12 112/4080 911206\n": 112,
		"":                                     -1,
		"0.20 0.18 0.12 ":                      -1,
		"0.20 0.18 0.12 /80":                   -1,
	} {
		if n, ok := runningThreads([]byte(text)); ok != (want >= 0) || ok && n != want {
			t.Errorf("%q: %d, %v, want %d", text, n, ok, want)
		}
	}
}

func TestCountListed(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]int{
		"0\n":         1,
		"0-1\n":       2,
		"0-3,6,8-9\n": 7,
		"":            0,
		"\n":          0,
		"0-":          0,
		"3-0":         0,
		"0-3,x":       0,
	} {
		if n := countListed(list); n != want {
			t.Errorf("countListed(%q) = %d, want %d", list, n, want)
		}
	}
}

// A handler asks the kernel, and a processor is idle while fewer threads run than there are processors, or if the kernel
// does not say, or if this process may use only some of them. When the last connection has gone, the descriptor is closed.
func TestProcessors(t *testing.T) {
	t.Parallel()
	h := pollHandler(t)
	c, client := pollPair(t, h, &quietReceiver{})
	defer client.Close()
	h.poller.mu.Lock()
	fd, idle := h.poller.epoll.processors.loadavg, h.poller.epoll.idle
	h.poller.mu.Unlock()
	said := filepath.Join(t.TempDir(), "loadavg")
	if fd >= 0 {
		var text [64]byte
		n, err := syscall.Pread(fd, text[:], 0)
		if running, ok := runningThreads(text[:max(n, 0)]); err != nil || !ok || running < 1 {
			t.Errorf("%d threads run, says %q, %v", running, text[:max(n, 0)], err)
		}
		file, err := os.Create(said)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if err := syscall.Dup3(int(file.Fd()), fd, syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
	online, err := os.ReadFile("/sys/devices/system/cpu/online")
	if all := countListed(string(online)) == runtime.NumCPU(); err != nil || all != (fd >= 0) {
		t.Errorf("descriptor %d, want one if %d processors are all that there are: %q, %v", fd, runtime.NumCPU(), online, err)
	}
	if some := openProcessors(countListed(string(online)) - 1); some.loadavg >= 0 {
		t.Error("the kernel is asked though the process may use only some processors")
		some.close()
	}
	for _, test := range []struct {
		says string
		want bool
	}{
		{fmt.Sprintf("0.20 0.18 0.12 %d/80 11206\n", runtime.NumCPU()-1), true},
		{fmt.Sprintf("0.20 0.18 0.12 %d/80 11206\n", runtime.NumCPU()), fd < 0},
		{fmt.Sprintf("0.20 0.18 0.12 %d/80 11206\n", runtime.NumCPU()+1), fd < 0},
		{"nothing of that kind", true},
	} {
		if err := os.WriteFile(said, []byte(test.says), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := idle(); got != test.want {
			t.Errorf("a processor is idle: %v, want %v, when the kernel says %q", got, test.want, test.says)
		}
	}
	c.cut(nil)
	<-doneOf(h)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		name, _ := os.Readlink(fmt.Sprint("/proc/self/fd/", fd)) // the number may be another's by now
		if name != said {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the descriptor is open though the last connection has gone")
		}
	}
	if none := (processors{1, -1}); !none.idle() {
		t.Error("no processor is idle where the kernel does not say")
	}
}
