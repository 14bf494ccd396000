//go:build linux

package compare

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/bachata-go/bachata/bench/internal/load"
	"github.com/bachata-go/bachata/bench/internal/proc"
)

// Cycle measures what one message costs a server: a cycle is a message with its 100, its delivery, its 200 and its 300.
func Cycle(args []string) error {
	c := cycle{setting: newSetting("cycle", "floor,memory,disk,centrifuge", ", the floor first", 3)}
	c.timed(2)
	c.flags.IntVar(&c.pairs, "pairs", 50, "pairs of sender and receiver")
	outstanding := c.flags.String("outstanding", "1,32", "messages that each sender has on their way")
	c.flags.BoolVar(&c.strace, "strace", false, "count all system calls of each, in a short pass under strace (which slows it down)")
	c.profiled()
	if err := c.parse(args); err != nil {
		return err
	}
	defer c.rig.close()
	for text := range strings.SplitSeq(*outstanding, ",") {
		var k int
		if _, err := fmt.Sscan(text, &k); err != nil {
			return fmt.Errorf("outstanding %q: %w", text, err)
		}
		if err := c.compare(k); err != nil {
			return err
		}
	}
	return nil
}

// cycleBars are what a server's cycle may cost in cycles of the floor, by messages outstanding; behindBars what the peer's
// costs at least in cycles of ours.
var (
	cycleBars = map[int]map[string]bar{
		1:  {"memory": {limit: 1.25}, "disk": {limit: 1.6}},
		32: {"memory": {limit: 3}, "disk": {limit: 5}},
	}
	behindBars = map[int]bar{1: {limit: 2, atLeast: true}, 32: {limit: 4, atLeast: true}}
)

type cycle struct {
	*setting
	pairs  int
	strace bool
}

// cycleSample is one measurement; all but the rate are for a cycle.
type cycleSample struct {
	cpu           time.Duration // of the server
	rate          float64       // cycles a second
	reads, writes float64       // system calls
}

func (c *cycle) compare(outstanding int) error {
	samples, err := inTurns(c.rounds, c.servers, func(server string) (cycleSample, error) {
		return c.measure(server, outstanding, nil)
	})
	if err != nil {
		return err
	}
	fmt.Printf("cycle: %d pairs, %d outstanding; median of %d (best)\n", c.pairs, outstanding, c.rounds)
	var floor, leastFloor time.Duration
	for _, server := range c.servers {
		m, best := median(samples[server], func(s cycleSample) float64 { return float64(s.cpu) })
		if server == "floor" {
			floor, leastFloor = m.cpu, best.cpu
		}
		fmt.Printf("  %-10s %7.2f us CPU (%.2f)", server, micros(m.cpu), micros(best.cpu))
		if floor > 0 {
			fmt.Printf("  %6.2f x floor (%.2f)", float64(m.cpu)/float64(floor), float64(best.cpu)/float64(leastFloor))
		}
		fmt.Printf("  %8.0f cycles/s  %.2f reads and %.2f writes a cycle", m.rate, m.reads, m.writes)
		if floor > 0 {
			fmt.Print(cycleBars[outstanding][server].judge(float64(m.cpu) / float64(floor)))
		}
		fmt.Println()
	}
	c.behind(outstanding, samples)
	if c.strace {
		if err := c.calls(outstanding); err != nil {
			return err
		}
	}
	if c.profile != "" {
		return c.profiles(c.servers, strconv.Itoa(outstanding), func(server string, during func(*proc.Process) error) error {
			_, err := c.measure(server, outstanding, during)
			return err
		})
	}
	return nil
}

// behind prints how far the peer is behind ours.
func (c *cycle) behind(outstanding int, samples map[string][]cycleSample) {
	of := func(s cycleSample) float64 { return float64(s.cpu) }
	if len(samples["centrifuge"]) == 0 {
		return
	}
	peer, _ := median(samples["centrifuge"], of)
	for _, server := range []string{"memory", "disk"} {
		if len(samples[server]) > 0 {
			m, _ := median(samples[server], of)
			ratio := float64(peer.cpu) / float64(m.cpu)
			fmt.Printf("  centrifuge: %.2f x %s%s\n", ratio, server, behindBars[outstanding].judge(ratio))
		}
	}
}

// measure runs one server under load. during, if not nil, runs instead of the measured time.
func (c *cycle) measure(server string, outstanding int, during func(p *proc.Process) error) (s cycleSample, err error) {
	p, err := c.rig.start(proc.Config{Role: server})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	l := &load.Pairs{Pairs: c.pairs, Outstanding: outstanding, Dialect: dialectOf(server)}
	begin, err := l.Dial(p.Address)
	if err != nil {
		return s, err
	}
	time.Sleep(20 * time.Millisecond) // what it does behind the last connection
	r0, w0 := p.Calls()
	begin()
	time.Sleep(c.duration / 4) // until it runs evenly
	cpu0, n0, t0 := p.CPU(), l.Cycles.Load(), time.Now()
	if during == nil {
		time.Sleep(c.duration)
	} else if err := during(p); err != nil {
		return s, err
	}
	cpu, n, t := p.CPU()-cpu0, l.Cycles.Load()-n0, time.Since(t0)
	if err := l.Drain(); err != nil {
		return s, err
	}
	r, w := p.Calls()
	all := float64(l.Cycles.Load())
	if err := l.Close(); err != nil {
		return s, err
	}
	if n == 0 {
		return s, fmt.Errorf("no cycle in %v", c.duration)
	}
	return cycleSample{
		cpu:    cpu / time.Duration(n),
		rate:   float64(n) / t.Seconds(),
		reads:  float64(r-r0) / all,
		writes: float64(w-w0) / all,
	}, nil
}
