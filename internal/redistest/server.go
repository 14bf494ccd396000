// Package redistest runs redis-server processes for tests: on ports of 127.0.0.1 that nobody else uses, in directories
// that go with the test. Without the binary a test fails; it is never skipped. With BACHATA_TEST_REDIS=valkey in the
// environment the servers are those of Valkey.
package redistest

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take to come up.
const patience = 20 * time.Second

// Server is a redis-server process. Its methods end the test if they can't do what they say.
type Server struct {
	t      testing.TB
	dir    string
	port   int
	args   []string
	binary string

	mu  sync.Mutex
	cmd *exec.Cmd
	log *os.File
}

// Start runs a server with the arguments given besides the port and the directory, and ends it with the test. By
// default it keeps everything in memory.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := newServer(t, "server", args...)
	s.Restart()
	return s
}

// newServer prepares a server that does not run yet.
func newServer(t testing.TB, role string, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, dir: tempDir(t), port: FreePort(t), args: args, binary: Binary(t, role)}
	t.Cleanup(s.Kill)
	return s
}

// Binary finds the program of a role, "server" or "sentinel".
func Binary(t testing.TB, role string) string {
	t.Helper()
	brand := cmp.Or(os.Getenv("BACHATA_TEST_REDIS"), "redis")
	path, err := exec.LookPath(brand + "-" + role)
	if err != nil {
		t.Fatalf("the tests need %[1]s-%[2]s: apt-get install %[1]s-server %[1]s-sentinel (%[3]v)", brand, role, err)
	}
	return path
}

// tempDir is t.TempDir for one that may still be written to for a moment.
func tempDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Three ranges of ports below those that the kernel gives to outgoing connections, of which one would sooner or later be
// that of a server which is down: servers, the reservations of their ports, and a cluster's bus.
const (
	firstPort  = 10_000
	ports      = 3000
	reserveGap = ports
	busGap     = 2 * ports
)

var lastPort atomic.Int64 // how many were asked for

// FreePort returns a port of 127.0.0.1 that nobody else of these tests has, whichever process they run in, until the
// test ends. It reserves it by listening on another one as long: the port itself must be free for the server, also while
// that does not run.
func FreePort(t testing.TB) int {
	t.Helper()
	for range ports {
		port := firstPort + int((int64(os.Getpid())*37+lastPort.Add(1))%ports)
		reservation, err := listen(port + reserveGap)
		if err != nil {
			continue
		}
		if !free(port) || !free(port+busGap) {
			_ = reservation.Close()
			continue
		}
		t.Cleanup(func() { _ = reservation.Close() })
		return port
	}
	t.Fatalf("no port is free from %d to %d", firstPort, firstPort+ports)
	return 0
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// free reports whether nobody listens on port. A process that is just being started has a copy of every descriptor until it
// runs its program, and would keep the port busy for a moment longer: none is started meanwhile.
func free(port int) bool {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	l, err := listen(port)
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// Addr is the server's address.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Arg returns the argument that follows on the one named, which Start was given.
func (s *Server) Arg(name string) string {
	for i, a := range s.args {
		if a == name && i+1 < len(s.args) {
			return s.args[i+1]
		}
	}
	return ""
}

// Port is the server's port.
func (s *Server) Port() int { return s.port }

// Dir is where the server keeps its files.
func (s *Server) Dir() string { return s.dir }

// Pid is the id of the process.
func (s *Server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd.Process.Pid
}

// Restart runs the server that is not running, with the files that it left.
func (s *Server) Restart() {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	args := append([]string{"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--repl-diskless-sync-delay", "0"}, s.args...)
	if strings.HasSuffix(s.binary, "sentinel") {
		args = append([]string{filepath.Join(s.dir, "sentinel.conf")}, s.args...)
	}
	cmd := exec.Command(s.binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = processAttributes()
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("start %s: %v", s.binary, err)
	}
	s.mu.Lock()
	s.cmd, s.log = cmd, log
	s.mu.Unlock()
	s.eventually("start", func() error {
		_, err := s.try("PING")
		if err != nil && strings.Contains(err.Error(), "LOADING") {
			return err
		}
		if err != nil && strings.Contains(err.Error(), "NOAUTH") {
			return nil
		}
		return err
	})
}

// Kill ends the process with SIGKILL, if it runs.
func (s *Server) Kill() {
	s.mu.Lock()
	cmd, log := s.cmd, s.log
	s.cmd, s.log = nil, nil
	s.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(syscall.SIGCONT)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	_ = log.Close()
}

// Pause stops the process with SIGSTOP; Resume lets it go on.
func (s *Server) Pause() { _ = syscall.Kill(s.Pid(), syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (s *Server) Resume() { _ = syscall.Kill(s.Pid(), syscall.SIGCONT) }

// Do runs one command and returns its reply as redis-cli --raw would print it.
func (s *Server) Do(args ...string) string {
	s.t.Helper()
	reply, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return reply
}

// Try is Do for a command that may fail.
func (s *Server) Try(args ...string) (string, error) { return s.try(args...) }

func (s *Server) try(args ...string) (string, error) {
	return Command(s.Addr(), args...)
}

// eventually repeats try until it returns nil.
func (s *Server) eventually(doing string, try func() error) {
	s.t.Helper()
	Eventually(s.t, doing+" "+s.Addr(), func() error {
		err := try()
		if err != nil {
			err = fmt.Errorf("%w; its log ends: %s", err, s.tail())
		}
		return err
	})
}

func (s *Server) tail() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	if len(b) > 2000 {
		b = b[len(b)-2000:]
	}
	return string(bytes.TrimSpace(b))
}

// Eventually repeats try until it returns nil, and fails the test if that takes too long.
func Eventually(t testing.TB, doing string, try func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", doing, err)
		}
	}
}
