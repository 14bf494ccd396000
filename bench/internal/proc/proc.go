//go:build linux

// Package proc runs the servers of a comparison as processes of their own, and reads from outside what they use.
package proc

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Config tells a child what it is.
type Config struct {
	Role    string
	Dir     string // of the disk queue
	Members int    // of the group
	TLS     bool
	Address string // of the server; for clients
	Sockets int    // to open; for clients
}

// Stats are what a child counts of itself.
type Stats struct {
	Goroutines int
	Pings      int64
}

const environ = "BACHATA_BENCH_CHILD"

// Child returns what this process is to be, if it is a child.
func Child() (c Config, ok bool, err error) {
	text := os.Getenv(environ)
	if text == "" {
		return c, false, nil
	}
	return c, true, json.Unmarshal([]byte(text), &c)
}

// Ready tells the parent the address, or whatever it waits for, and from then on answers its questions until the parent
// ends, and this process with it.
func Ready(address string, pings func() int64) {
	fmt.Println(address)
	go func() {
		in := bufio.NewReader(os.Stdin)
		for {
			if _, err := in.ReadByte(); err != nil {
				os.Exit(0)
			}
			s := Stats{Goroutines: runtime.NumGoroutine()}
			if pings != nil {
				s.Pings = pings()
			}
			text, _ := json.Marshal(s)
			fmt.Println(string(text))
		}
	}()
}

// Process is a child that runs.
type Process struct {
	Address string

	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Reader
}

// Start runs program (empty: this one) as what c says.
func Start(program string, c Config) (*Process, error) {
	if program == "" {
		var err error
		if program, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: exec.Command(program)}
	p.cmd.Env = append(os.Environ(), environ+"="+string(text))
	if c.Role == "floor" {
		// Its one goroutine never yields, so that Go would interrupt its waiting a hundred times a second.
		p.cmd.Env = append(p.cmd.Env, "GODEBUG=asyncpreemptoff=1")
	}
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.lines = bufio.NewReader(out)
	line, err := p.lines.ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", c.Role, err), p.Stop())
	}
	p.Address = strings.TrimSpace(line)
	return p, nil
}

// Stop ends the child and waits for it.
func (p *Process) Stop() error {
	_ = p.stdin.Close()
	return p.cmd.Wait()
}

// PID returns the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stats asks the child.
func (p *Process) Stats() (s Stats, err error) {
	if _, err := p.stdin.Write([]byte{'\n'}); err != nil {
		return s, err
	}
	line, err := p.lines.ReadBytes('\n')
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(line, &s)
}

// CPU returns the processor time that the child has used.
func (p *Process) CPU() time.Duration {
	var ts unix.Timespec
	clock := int32(^p.PID())<<3 | 2 // CPUCLOCK_SCHED of the process
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// Calls returns how often the child has called read(2) and write(2), and those like them, as the kernel counts for
// everybody: asking costs the child nothing.
func (p *Process) Calls() (reads, writes int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", p.PID()))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		_, _ = fmt.Sscanf(line, "syscr: %d", &reads)
		_, _ = fmt.Sscanf(line, "syscw: %d", &writes)
	}
	return reads, writes
}

// RSS returns the resident memory of the child in bytes.
func (p *Process) RSS() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.PID()))
	if err != nil {
		return 0
	}
	var size, resident int
	_, _ = fmt.Sscan(string(text), &size, &resident)
	return resident * os.Getpagesize()
}

// RaiseFiles lets this process open as many files as it may.
func RaiseFiles() (int, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, err
	}
	l.Cur = l.Max
	return int(l.Max), unix.Setrlimit(unix.RLIMIT_NOFILE, &l)
}
