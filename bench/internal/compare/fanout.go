//go:build linux

package compare

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/bachata-go/bachata/bench/internal/load"
	"github.com/bachata-go/bachata/bench/internal/proc"
	"github.com/bachata-go/bachata/bench/internal/wire"
)

// Fanout measures how many deliveries a server makes in a second of CPU, when each message goes to many sockets: with a
// simple queue, which has no receipts, beside a floor that writes the same bytes; and with receipts, every receiver
// answering a 200 for which the sender gets a 300, beside a floor that reads and writes those too. One message is on its
// way at a time: the next is sent when all that belongs to the last has come.
func Fanout(args []string) error {
	f := fanout{newSetting("fanout", "simple,centrifuge,memory", ": simple and centrifuge without receipts, the others with them", 3)}
	f.timed(1.5)
	f.profiled()
	sockets := f.flags.String("sockets", "1000,5000", "sockets that a message goes to")
	if err := f.parse(args); err != nil {
		return err
	}
	defer f.rig.close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for text := range strings.SplitSeq(*sockets, ",") {
		var n int
		if _, err := fmt.Sscan(text, &n); err != nil || n > 9999 {
			return fmt.Errorf("sockets %q: not a number up to 9999", text)
		}
		for _, receipts := range []bool{false, true} {
			var names []string
			for _, name := range f.servers {
				if receipts != (strings.HasPrefix(name, "simple") || name == "centrifuge") {
					names = append(names, name)
				}
			}
			if len(names) == 0 {
				continue
			}
			if err := f.compare(n, receipts, append([]string{"floor"}, names...)); err != nil {
				return err
			}
		}
	}
	return nil
}

// fanoutBars are how many of the floor's deliveries in a second of CPU a server has to make.
var fanoutBars = map[string]bar{
	"simple": {limit: 0.8, atLeast: true},
	"memory": {limit: 0.6, atLeast: true},
	"disk":   {limit: 0.6, atLeast: true},
}

type fanout struct{ *setting }

// fanoutSample is one measurement.
type fanoutSample struct {
	each   float64 // CPU of a delivery, in ns
	rate   float64 // deliveries a second
	writes float64 // system calls a delivery
}

func (f *fanout) compare(sockets int, receipts bool, names []string) error {
	samples, err := inTurns(f.rounds, names, func(name string) (fanoutSample, error) {
		return f.measure(name, sockets, receipts, nil)
	})
	if err != nil {
		return err
	}
	with := "without receipts"
	if receipts {
		with = "with receipts"
	}
	fmt.Printf("fanout: one message to %d sockets %s; median of %d (best)\n", sockets, with, f.rounds)
	var floor, leastFloor float64
	for _, name := range names {
		m, best := median(samples[name], func(s fanoutSample) float64 { return s.each })
		if name == "floor" {
			floor, leastFloor = m.each, best.each
		}
		fmt.Printf("  %-10s %7.0f deliveries a CPU second (%.0f)  %.2f of floor (%.2f)  %7.0f deliveries/s  %.2f writes each%s\n",
			name, 1e9/m.each, 1e9/best.each, floor/m.each, leastFloor/best.each, m.rate, m.writes,
			fanoutBars[name].judge(floor/m.each))
	}
	if f.profile == "" {
		return nil
	}
	return f.profiles(names, strconv.Itoa(sockets), func(server string, during func(*proc.Process) error) error {
		_, err := f.measure(server, sockets, receipts, during)
		return err
	})
}

// measure runs one server under load. during, if not nil, runs beside it, and the load goes on until it returns.
func (f *fanout) measure(server string, sockets int, receipts bool, during func(p *proc.Process) error) (s fanoutSample, err error) {
	p, err := f.rig.start(proc.Config{Role: server, Members: sockets})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	var e *load.Engine
	accepted, deliveries, confirmed := 0, 0, 0
	e, err = load.NewEngine(dialectOf(server), func(c *load.Conn, k load.Kind, text []byte) {
		switch k {
		case load.Accepted:
			accepted++
		case load.Delivered:
			deliveries++
			if receipts {
				e.Say(c, e.Dialect.Confirm(c.Name, e.Dialect.IDOf(text)))
			}
		case load.Receipt:
			confirmed++
		}
	})
	if err != nil {
		return s, err
	}
	defer e.Close()
	for i := range sockets {
		if _, err := e.Dial(p.Address, wire.Name('r', i), i); err != nil {
			return s, err
		}
	}
	sender, err := e.Dial(p.Address, wire.Name('s', 0), 0)
	if err != nil {
		return s, err
	}
	time.Sleep(20 * time.Millisecond) // what it does behind the last connection
	accepted = 0
	messages := 0
	beside := make(chan error, 1)
	if during == nil {
		beside <- nil
	} else {
		go func() { beside <- during(p) }()
	}
	var cpu time.Duration
	var cold, writes int64
	start := time.Now()
	warm, end := start.Add(f.duration/5), start.Add(f.duration/5+f.duration)
	var began time.Time
	for {
		if accepted >= messages && deliveries >= messages*sockets && (!receipts || confirmed >= messages*sockets) {
			now := time.Now()
			if began.IsZero() && now.After(warm) {
				began, cpu, cold = now, p.CPU(), int64(deliveries)
				_, writes = p.Calls()
			}
			if now.After(end) && len(beside) > 0 {
				break
			}
			messages++
			e.Say(sender, e.Dialect.Message(sender.Name, wire.GroupName, messages))
		}
		if err := e.Loop(time.Second); err != nil {
			return s, err
		}
		if time.Since(end) > 10*time.Second+f.duration {
			return s, fmt.Errorf("of %d messages to %d sockets came %d 100s, %d deliveries, %d 300s", messages, sockets, accepted, deliveries, confirmed)
		}
	}
	if err := <-beside; err != nil {
		return s, err
	}
	_, w := p.Calls()
	n := float64(int64(deliveries) - cold)
	if n == 0 {
		return s, fmt.Errorf("no message in %v", f.duration)
	}
	return fanoutSample{
		each:   float64(p.CPU()-cpu) / n,
		rate:   n / time.Since(began).Seconds(),
		writes: float64(w-writes) / n,
	}, nil
}
