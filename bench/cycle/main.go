// Command cycle measures what one message costs a server: a cycle is a message with its 100, its delivery, its 200 and
// its 300. All servers run as processes of their own on loopback, one after the other, under the same load; what is
// compared is the CPU time of the server process, as a ratio to that of the floor.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	role := flag.String("role", "", "run as this server (used by the program itself)")
	dir := flag.String("dir", "", "directory of the disk queue")
	pairs := flag.Int("pairs", 50, "pairs of sender and receiver")
	seconds := flag.Float64("seconds", 2, "seconds that each measurement takes")
	rounds := flag.Int("rounds", 3, "measurements of each; the median counts")
	servers := flag.String("servers", "floor,memory,disk", "servers to measure, the floor first")
	outstanding := flag.String("outstanding", "1,32", "messages that each sender has on their way")
	flag.Parse()
	var err error
	switch *role {
	case "floor":
		err = runFloor()
	case "memory", "disk", "simple":
		err = runBachata(*role, *dir)
	case "":
		err = compare(strings.Split(*servers, ","), *outstanding, *pairs, *rounds, time.Duration(*seconds*float64(time.Second)))
	default:
		err = fmt.Errorf("unknown role %q", *role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cycle:", err)
		os.Exit(1)
	}
}

// sample is one measurement.
type sample struct {
	cpu           time.Duration // of the server, a cycle
	rate          float64       // cycles a second
	reads, writes float64       // of the server, a cycle; only of the floor
}

func compare(servers []string, outstanding string, pairs, rounds int, d time.Duration) error {
	for _, text := range strings.Split(outstanding, ",") {
		var k int
		if _, err := fmt.Sscan(text, &k); err != nil {
			return fmt.Errorf("outstanding %q: %w", text, err)
		}
		samples := map[string][]sample{}
		for range rounds {
			for _, server := range servers {
				s, err := measure(server, pairs, k, d)
				if err != nil {
					return fmt.Errorf("%s: %w", server, err)
				}
				samples[server] = append(samples[server], s)
			}
		}
		fmt.Printf("%d pairs, %d outstanding, median of %d\n", pairs, k, rounds)
		floor := time.Duration(0)
		for _, server := range servers {
			all := samples[server]
			slices.SortFunc(all, func(a, b sample) int { return int(a.cpu - b.cpu) })
			m := all[len(all)/2]
			fmt.Printf("  %-12s %7.2f us CPU a cycle  %9.0f cycles/s", server, float64(m.cpu.Nanoseconds())/1e3, m.rate)
			if server == "floor" {
				floor = m.cpu
				fmt.Printf("  %.2f reads and %.2f writes a cycle", m.reads, m.writes)
			}
			if floor > 0 {
				fmt.Printf("  %.2f x floor", float64(m.cpu)/float64(floor))
			}
			fmt.Println()
		}
	}
	return nil
}

func measure(server string, pairs, outstanding int, d time.Duration) (s sample, err error) {
	dir, err := os.MkdirTemp(".", ".cycle-")
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return s, err
	}
	cmd := exec.Command(self, "-role", server, "-dir", dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return s, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return s, err
	}
	if err := cmd.Start(); err != nil {
		return s, err
	}
	defer func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	}()
	lines := bufio.NewReader(stdout)
	addr, err := lines.ReadString('\n')
	if err != nil {
		return s, fmt.Errorf("start: %w", err)
	}
	calls := func() (reads, writes float64) {
		_, _ = stdin.Write([]byte{'\n'})
		line, _ := lines.ReadString('\n')
		_, _ = fmt.Sscan(line, &reads, &writes)
		return reads, writes
	}
	l := &load{pairs: pairs, outstanding: outstanding}
	if err := l.start(strings.TrimSpace(addr)); err != nil {
		return s, err
	}
	time.Sleep(d / 4) // until it runs evenly
	r0, w0 := calls()
	cpu0, n0, t0 := cpuOf(cmd.Process.Pid), l.cycles.Load(), time.Now()
	time.Sleep(d)
	cpu, n, t := cpuOf(cmd.Process.Pid)-cpu0, l.cycles.Load()-n0, time.Since(t0)
	r, w := calls()
	if err := l.end(); err != nil {
		return s, err
	}
	if n == 0 {
		return s, fmt.Errorf("no cycle in %v", d)
	}
	return sample{
		cpu:    cpu / time.Duration(n),
		rate:   float64(n) / t.Seconds(),
		reads:  (r - r0) / float64(n),
		writes: (w - w0) / float64(n),
	}, nil
}

// cpuOf returns the CPU time that a process has used.
func cpuOf(pid int) time.Duration {
	var ts unix.Timespec
	clock := int32(^pid)<<3 | 2 // CPUCLOCK_SCHED of the process
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
