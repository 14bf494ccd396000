//go:build linux

package compare

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/bachata-go/bachata/bench/internal/load"
	"github.com/bachata-go/bachata/bench/internal/proc"
	"github.com/bachata-go/bachata/bench/internal/wire"
)

// Latency measures how long a cycle takes. First one message at a time: from sending it to its 100. Then an open loop:
// the rate at which each server is saturated, and at half of that, sending by the clock whatever comes back, how long
// each cycle took from the moment at which its message was to be sent. The floor is measured at the same rate.
func Latency(args []string) error {
	l := latency{setting: newSetting("latency", "memory,disk", "", 5)}
	l.timed(1.5)
	l.flags.IntVar(&l.pairs, "pairs", 50, "pairs of sender and receiver")
	l.flags.IntVar(&l.outstanding, "outstanding", 32, "messages that each sender has on their way to saturate a server")
	single := l.flags.Bool("single", true, "one message at a time: p50 of send to 100")
	open := l.flags.Bool("open", true, "open loop: p99 of send to 300")
	rate := l.flags.Float64("rate", 0, "cycles a second of the open loop, to measure all servers in turns; 0: half of what saturates each")
	if err := l.parse(args); err != nil {
		return err
	}
	defer l.rig.close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if *single {
		if err := l.compareSingle(); err != nil {
			return err
		}
	}
	switch {
	case !*open:
		return nil
	case *rate > 0:
		return l.compareAt(*rate, l.servers...)
	}
	return l.compareOpen()
}

type latency struct {
	*setting
	pairs, outstanding int
}

// percentile returns the one of all, which it sorts, that so much of them are below.
func percentile(all []time.Duration, p float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(float64(len(all))*p))]
}

func (l *latency) compareSingle() error {
	const fdatasync = "fdatasync"
	names := slices.Compact(append([]string{"floor"}, l.servers...))
	samples, err := inTurns(l.rounds, append(names, fdatasync), func(name string) (time.Duration, error) {
		if name == fdatasync {
			return l.sync()
		}
		return l.one(name)
	})
	if err != nil {
		return err
	}
	fmt.Printf("latency: one message at a time, p50 of send to 100; median of %d (best)\n", l.rounds)
	self := func(d time.Duration) float64 { return float64(d) }
	floor, leastFloor := median(samples["floor"], self)
	fsync, leastSync := median(samples[fdatasync], self)
	fmt.Printf("  %-10s %7.1f us (%.1f)\n", fdatasync, micros(fsync), micros(leastSync))
	for _, name := range names {
		m, best := median(samples[name], self)
		bound, what := floor, "floor"
		least := leastFloor
		if name == "disk" {
			bound, least, what = floor+fsync, leastFloor+leastSync, "floor and one fdatasync"
		}
		fmt.Printf("  %-10s %7.1f us (%.1f)  %5.2f x %s (%.2f)", name, micros(m), micros(best),
			float64(m)/float64(bound), what, float64(best)/float64(least))
		if name == "disk" {
			fmt.Print(bar{limit: 1}.judge(float64(m) / float64(bound)))
		}
		fmt.Println()
	}
	return nil
}

// one returns the p50 of send to 100, with one pair and one message at a time.
func (l *latency) one(server string) (p50 time.Duration, err error) {
	p, err := l.rig.start(proc.Config{Role: server})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	var sent time.Time
	var took []time.Duration
	done := true
	var e *load.Engine
	e, err = load.NewEngine(load.Bachata, func(c *load.Conn, k load.Kind, text []byte) {
		switch k {
		case load.Accepted:
			took = append(took, time.Since(sent))
		case load.Delivered:
			e.Say(c, e.Dialect.Confirm("", e.Dialect.IDOf(text)))
		case load.Receipt:
			done = true
		}
	})
	if err != nil {
		return 0, err
	}
	defer e.Close()
	a, b := wire.Name('a', 0), wire.Name('b', 0)
	if _, err := e.Dial(p.Address, b, 0); err != nil {
		return 0, err
	}
	sender, err := e.Dial(p.Address, a, 0)
	if err != nil {
		return 0, err
	}
	n, warm := 0, 0
	for start := time.Now(); time.Since(start) < l.duration/2; {
		if done && len(took) == n {
			if warm == 0 && time.Since(start) > l.duration/8 {
				warm = n
			}
			n++
			done = false
			e.Say(sender, e.Dialect.Message(a, b, n))
			sent = time.Now()
		}
		if err := e.Loop(time.Second); err != nil {
			return 0, err
		}
	}
	return percentile(took[warm:], 0.5), nil
}

// sync returns the p50 of one fdatasync of a record into blocks that were written before, as the disk queue does it.
func (l *latency) sync() (time.Duration, error) {
	f, err := os.Create(filepath.Join(l.rig.dir, "sync"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 4<<20)); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	record := make([]byte, 256)
	var took []time.Duration
	at := int64(0)
	for start := time.Now(); time.Since(start) < l.duration/4; at += int64(len(record)) {
		record[0]++
		if _, err := f.WriteAt(record, at%(4<<20)); err != nil {
			return 0, err
		}
		t := time.Now()
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
		took = append(took, time.Since(t))
	}
	return percentile(took, 0.5), nil
}

// openSample is one measurement of an open loop.
type openSample struct {
	p50, p99 time.Duration
	cpu      float64 // us of the server's a cycle
}

// openBars are what a server's p99 may be in those of the floor at the same rate, the best of each.
var openBars = map[string]bar{"memory": {limit: 2}, "disk": {limit: 4}}

func (l *latency) compareOpen() error {
	for _, server := range l.servers {
		full := 0.0 // the best of some: what disturbs one makes the rate easier
		for range min(3, l.rounds) {
			got, err := l.run(server, 0, nil)
			if err != nil {
				return fmt.Errorf("%s: %w", server, err)
			}
			full = max(full, got)
		}
		fmt.Printf("latency: half of what saturates %s\n", server)
		if err := l.compareAt(full/2, server); err != nil {
			return err
		}
	}
	return nil
}

// compareAt measures the floor and servers at rate, in turns.
func (l *latency) compareAt(rate float64, servers ...string) error {
	fmt.Printf("latency: %d pairs, open loop at %.0f cycles/s; send to 300, best of %d (median)\n", l.pairs, rate, l.rounds)
	names := slices.Compact(append([]string{"floor"}, servers...))
	samples, err := inTurns(l.rounds, names, func(name string) (s openSample, err error) {
		_, err = l.run(name, rate, &s)
		return s, err
	})
	if err != nil {
		return fmt.Errorf("at %.0f/s: %w", rate, err)
	}
	var floor, leastFloor time.Duration
	var floorCPU float64
	for _, name := range names {
		m, best := median(samples[name], func(s openSample) float64 { return float64(s.p99) })
		p50, _ := median(samples[name], func(s openSample) float64 { return float64(s.p50) })
		cpu, _ := median(samples[name], func(s openSample) float64 { return s.cpu })
		if name == "floor" {
			floor, leastFloor, floorCPU = m.p99, best.p99, cpu.cpu
		}
		ratio := float64(best.p99) / float64(leastFloor)
		fmt.Printf("  %-10s p99 %8.1f us (%.1f)  %5.2f x floor (%.2f)  p50 %7.1f us  %5.2f us CPU a cycle, %.2f x floor%s\n", name,
			micros(best.p99), micros(m.p99), ratio, float64(m.p99)/float64(floor), micros(p50.p50), cpu.cpu, cpu.cpu/floorCPU,
			openBars[name].judge(ratio))
	}
	return nil
}

// run returns how many cycles a second came back: with rate 0, each sender always has so many on their way, else all
// together send at that rate, and s is what the cycles took.
func (l *latency) run(server string, rate float64, s *openSample) (got float64, err error) {
	p, err := l.rig.start(proc.Config{Role: server})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	var (
		e        *load.Engine
		start    time.Time
		took     []time.Duration
		back     int
		warm     time.Time // from when on the server runs evenly
		senders  = make([]*load.Conn, l.pairs)
		receipts = make([]int, l.pairs)
		sent     int
		due      = func(n int) time.Time { return start.Add(time.Duration(float64(n) / rate * float64(time.Second))) }
		next     = func(pair int) {
			c := senders[pair]
			e.Say(c, e.Dialect.Message(c.Name, wire.Name('b', pair), sent))
			sent++
		}
	)
	e, err = load.NewEngine(load.Bachata, func(c *load.Conn, k load.Kind, text []byte) {
		switch k {
		case load.Delivered:
			e.Say(c, e.Dialect.Confirm("", e.Dialect.IDOf(text)))
		case load.Receipt:
			back++
			if rate == 0 {
				next(c.Number)
				return
			}
			// Receipts of a sender come in the order of its messages; every floor's bear the same id.
			at := due(c.Number + receipts[c.Number]*l.pairs)
			receipts[c.Number]++
			if at.After(warm) {
				took = append(took, time.Since(at))
			}
		}
	})
	if err != nil {
		return 0, err
	}
	defer e.Close()
	for pair := range l.pairs {
		if _, err := e.Dial(p.Address, wire.Name('b', pair), pair); err != nil {
			return 0, err
		}
		if senders[pair], err = e.Dial(p.Address, wire.Name('a', pair), pair); err != nil {
			return 0, err
		}
	}
	start = time.Now()
	if rate == 0 {
		for pair := range l.pairs {
			for range l.outstanding {
				next(pair)
			}
		}
	}
	warm = start.Add(l.duration / 5)
	end, give := warm.Add(l.duration), warm.Add(l.duration+5*time.Second)
	cold, used := 0, p.CPU() // what came back before, and was used for it
	for {
		now := time.Now()
		ended := now.After(end)
		if ended && (rate == 0 || back == sent) {
			break
		}
		if now.After(give) {
			return 0, fmt.Errorf("%d of %d cycles have not ended", sent-back, sent)
		}
		if !now.After(warm) {
			cold, used = back, p.CPU()
		}
		wait := 10 * time.Millisecond
		if rate > 0 && !ended { // what was sent is waited for: a cycle that takes long counts
			for !due(sent).After(now) {
				next(sent % l.pairs)
			}
			wait = due(sent).Sub(now)
		}
		if err := e.Loop(wait); err != nil {
			return 0, err
		}
	}
	if back == cold {
		return 0, errors.New("nothing came back")
	}
	if s != nil {
		*s = openSample{percentile(took, 0.5), percentile(took, 0.99), micros(p.CPU()-used) / float64(back-cold)}
	}
	return float64(back-cold) / l.duration.Seconds(), nil
}
