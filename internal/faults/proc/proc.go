//go:build linux

// Package proc runs `bachata serve` as a process that can be killed, paused and started again, on one address of this
// machine and one directory. It signals only processes that it started itself.
package proc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/bachata-go/bachata/internal/faults/history"
)

// Build builds the server into dir, with the flags of `go build` that are given, and returns the path of the program.
func Build(ctx context.Context, dir string, flags ...string) (string, error) {
	program := filepath.Join(dir, "bachata")
	args := append(append([]string{"build", "-o", program}, flags...), "github.com/bachata-go/bachata/cmd/bachata")
	cmd := exec.CommandContext(ctx, "go", args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build server: %w\n%s", err, out)
	}
	return program, nil
}

// Options configure a Server. Required are Program, and Dir or Queue.
type Options struct {
	Program  string            // the path of the server
	Dir      string            // the disk queue's
	Queue    string            // for serve; default: a disk queue in Dir
	Args     []string          // more of them, for serve
	Recorder *history.Recorder // of the server's own history; may be nil
}

// Server is one server, of which at most one process runs at a time. Its methods are for one goroutine, but for Addr
// and Log.
type Server struct {
	options Options
	addr    string
	port    *port
	client  http.Client
	cmd     *exec.Cmd     // nil if no process runs
	exited  chan struct{} // closed when it has ended
	log     tail
}

// New makes a server, on a port of its own, which is the caller's to close. It does not run yet.
func New(o Options) (*Server, error) {
	port, err := reservePort()
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, port: port, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port.number))}
	s.client.Timeout = 5 * time.Second
	s.client.Transport = &http.Transport{DisableKeepAlives: true}
	return s, nil
}

// Addr returns where it listens, host:port.
func (s *Server) Addr() string { return s.addr }

// Log returns the end of what all its processes wrote, up to 64 KiB.
func (s *Server) Log() string { return s.log.String() }

// Start starts a process and does not wait until it is ready.
func (s *Server) Start() error {
	if s.cmd != nil {
		return errors.New("proc: the server is running")
	}
	queue := s.options.Queue
	if queue == "" {
		queue = "disk:" + s.options.Dir
	}
	args := append([]string{"serve", "--listen", s.addr, "--queue", queue, "--log", "warn"}, s.options.Args...)
	cmd := exec.Command(s.options.Program, args...)
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	// Should the test be ended by force, then its server goes too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.record(history.Event{Kind: history.Start})
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	s.cmd, s.exited = cmd, make(chan struct{})
	go func(exited chan struct{}) {
		_ = cmd.Wait() // how it ended, ProcessState says
		close(exited)
	}(s.exited)
	return nil
}

// Ready waits until the server answers: it listens before it has opened its queue, and answers after. That the process
// ends before is an error.
func (s *Server) Ready(ctx context.Context) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, _, err := s.Health(ctx); err == nil {
			s.record(history.Event{Kind: history.Ready})
			return nil
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return fmt.Errorf("proc: the server ended by itself: %s\n%s", s.cmd.ProcessState, s.Log())
		case <-ctx.Done():
			return fmt.Errorf("wait for server: %w\n%s", ctx.Err(), s.Log())
		}
	}
}

// Kill ends the process with SIGKILL and waits until it has ended. Without a process it does nothing.
func (s *Server) Kill() error { return s.end(syscall.SIGKILL, "signal: killed") }

// Stop ends the process with SIGTERM and waits until it has drained and ended.
func (s *Server) Stop() error { return s.end(syscall.SIGTERM, "exit status 0") }

// Quit ends the process with SIGQUIT, so that it writes what all its goroutines do to its log. Without a process it does
// nothing.
func (s *Server) Quit() error {
	if s.cmd == nil {
		return nil
	}
	if err := s.Resume(); err != nil && !errors.Is(err, os.ErrProcessDone) { // paused, it would not end
		return err
	}
	return s.end(syscall.SIGQUIT, "exit status 2")
}

// Close kills the process and gives the port back. It may be called twice.
func (s *Server) Close() error {
	return errors.Join(s.Kill(), s.port.close())
}

func (s *Server) end(sig syscall.Signal, want string) error {
	if s.cmd == nil {
		return nil
	}
	s.record(history.Event{Kind: history.Kill, Reason: sig.String()})
	err := s.cmd.Process.Signal(sig)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end server: %w", err)
	}
	<-s.exited
	how := s.cmd.ProcessState.String()
	s.cmd = nil
	s.record(history.Event{Kind: history.Exit, Reason: how})
	if how != want {
		return fmt.Errorf("proc: the server ended with %q, not %q\n%s", how, want, s.Log())
	}
	return nil
}

// Pause stops the process (SIGSTOP), and Resume has it go on (SIGCONT).
func (s *Server) Pause() error { return s.signal(syscall.SIGSTOP, history.Pause) }

// Resume undoes Pause.
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT, history.Resume) }

func (s *Server) signal(sig syscall.Signal, kind history.Kind) error {
	if s.cmd == nil {
		return errors.New("proc: the server is not running")
	}
	s.record(history.Event{Kind: kind})
	if err := s.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal server: %w", err)
	}
	return nil
}

func (s *Server) record(e history.Event) {
	if s.options.Recorder != nil {
		s.options.Recorder.Record(e)
	}
}
