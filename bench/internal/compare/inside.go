//go:build linux

package compare

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/bachata-go/bachata/bench/internal/proc"
)

// calls prints the system calls of each server. Under strace all is slower, so that more comes together in one call
// than without: the reads and writes of the table are the honest ones.
func (c *cycle) calls(outstanding int) error {
	for _, server := range c.servers {
		file := filepath.Join(c.rig.dir, "strace")
		_ = os.Remove(file)
		s, err := c.measure(server, outstanding, func(p *proc.Process) error {
			trace := exec.Command("strace", "-c", "-f", "-qq", "-o", file, "-p", strconv.Itoa(p.PID()))
			var said bytes.Buffer
			trace.Stderr = &said
			if err := trace.Start(); err != nil {
				return fmt.Errorf("run strace (Debian's package strace): %w", err)
			}
			time.Sleep(c.duration)
			_ = trace.Process.Signal(syscall.SIGINT)
			_ = trace.Wait() // it ends by the signal; whether it has worked is seen by its table
			if _, err := os.Stat(file); err != nil {
				return fmt.Errorf("strace: %w: %s", err, said.String())
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", server, err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fmt.Printf("  %-10s under strace, calls a cycle:%s\n", server, callsIn(string(text), s.rate*c.duration.Seconds()))
	}
	return nil
}

// callsIn makes a line of what strace -c wrote: "% time, seconds, usecs/call, calls, errors if any, name".
func callsIn(table string, cycles float64) string {
	type call struct {
		name string
		n    float64
	}
	var all []call
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 5 || f[len(f)-1] == "total" {
			continue
		}
		if n, err := strconv.ParseFloat(f[3], 64); err == nil && n/cycles >= 0.005 {
			all = append(all, call{f[len(f)-1], n / cycles})
		}
	}
	slices.SortFunc(all, func(a, b call) int { return int((b.n - a.n) * 1e6) })
	var b strings.Builder
	for _, c := range all {
		fmt.Fprintf(&b, " %s %.2f", c.name, c.n)
	}
	return b.String()
}

// profiles writes where the CPU goes in each of servers but the floor, which measure runs under load.
func (s *setting) profiles(servers []string, suffix string, measure func(server string, during func(*proc.Process) error) error) error {
	for _, server := range servers {
		if server == "floor" {
			continue
		}
		role, _, _ := strings.Cut(server, "@") // the rest is a path
		name := fmt.Sprintf("%s%s-%s.pprof", s.profile, role, suffix)
		err := measure(server, func(p *proc.Process) error {
			answer, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", p.Address, max(1, int(s.duration.Seconds()))))
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			f, err := os.Create(name)
			if err != nil {
				return err
			}
			_, err = io.Copy(f, answer.Body)
			return errors.Join(err, f.Close())
		})
		if err != nil {
			return fmt.Errorf("%s: %w", server, err)
		}
		fmt.Printf("  %-10s profile in %s\n", server, name)
	}
	return nil
}
