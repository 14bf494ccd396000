//go:build unix

package main_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bachata-go/bachata/internal/browser"
	"go.uber.org/goleak"
)

// shared is what the tests of this package share; the first that needs a part makes it.
var shared = newTools()

type tools struct {
	binary func() (string, error)          // builds the program, once
	driver func() (*browser.Driver, error) // starts chromedriver, once

	mu    sync.Mutex
	close []func() error
}

func newTools() *tools {
	s := &tools{}
	s.binary = sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "bachata-test-")
		if err != nil {
			return "", err
		}
		s.atEnd(func() error { return os.RemoveAll(dir) })
		path := filepath.Join(dir, "bachata")
		if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
			return "", fmt.Errorf("build: %w\n%s", err, out)
		}
		return path, nil
	})
	s.driver = sync.OnceValues(func() (*browser.Driver, error) {
		d, err := browser.Start(context.Background())
		if err == nil {
			s.atEnd(d.Close)
		}
		return d, err
	})
	return s
}

func (s *tools) atEnd(f func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close = append(s.close, f)
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, f := range shared.close {
		if err := f(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// server is a `bachata serve` of a test's own.
type server struct {
	t       *testing.T
	url     string // of the page
	address string
	args    []string
	command *exec.Cmd
	ended   chan struct{}

	mu     sync.Mutex
	stdout strings.Builder
	stderr strings.Builder
}

var pageLine = regexp.MustCompile(`page\s+(http://(\S+)/)`)

// startServer starts the program on a free port and waits until it says where it is. The test's end kills it.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{t: t, args: args, address: "127.0.0.1:0"}
	s.start()
	t.Cleanup(s.kill)
	return s
}

// start starts the program, after the first time on the port that it had before.
func (s *server) start() {
	s.t.Helper()
	path, err := shared.binary()
	if err != nil {
		s.t.Fatal(err)
	}
	s.command = exec.Command(path, append([]string{"serve", "--listen", s.address}, s.args...)...)
	stdout, err := s.command.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	stderr, err := s.command.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.ended = make(chan struct{})
	found := make(chan []string, 1)
	var reading sync.WaitGroup
	reading.Go(func() {
		lines := bufio.NewScanner(stdout)
		var page []string
		for lines.Scan() {
			s.note(&s.stdout, lines.Text())
			if m := pageLine.FindStringSubmatch(lines.Text()); m != nil {
				page = m
			}
			if strings.HasPrefix(lines.Text(), "Ctrl-C") {
				found <- page
			}
		}
	})
	reading.Go(func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			s.note(&s.stderr, lines.Text())
		}
	})
	go func(command *exec.Cmd, ended chan struct{}) {
		reading.Wait()
		// Its exit code is looked at by those who care.
		_ = command.Wait()
		close(ended)
	}(s.command, s.ended)
	select {
	case m := <-found:
		s.url, s.address = m[1], m[2]
	case <-s.ended:
		s.t.Fatalf("the server ended at once: %s", s.output())
	case <-time.After(time.Minute):
		s.t.Fatalf("the server did not say where it is: %s", s.output())
	}
}

func (s *server) note(to *strings.Builder, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to.WriteString(line + "\n")
}

// output returns all that the program wrote.
func (s *server) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stdout.String() + s.stderr.String()
}

// kill ends the program as a crash would.
func (s *server) kill() { s.signal(syscall.SIGKILL) }

// signal sends sig and waits until the program has ended; it returns the exit code, -1 if a signal ended it.
func (s *server) signal(sig os.Signal) int {
	s.t.Helper()
	if err := s.command.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("signal server: %v", err)
	}
	select {
	case <-s.ended:
	case <-time.After(30 * time.Second):
		s.t.Fatalf("the server did not end: %s", s.output())
	}
	return s.command.ProcessState.ExitCode()
}

// within gives a step of a test its time.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
