//go:build linux

package compare

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/bachata-go/bachata/bench/internal/load"
	"github.com/bachata-go/bachata/bench/internal/proc"
	"github.com/bachata-go/bachata/bench/internal/wire"
)

// Connect measures the CPU of a connect: accept, handshake, and the first frame, beside net/http with a handler that
// hijacks, writes a 101 and one frame. The sockets stay open while it is measured.
func Connect(args []string) error {
	c := connect{setting: newSetting("connect", "http,memory,centrifuge", ", net/http first", 3)}
	c.flags.IntVar(&c.sockets, "sockets", 4000, "sockets that connect in one measurement")
	c.flags.IntVar(&c.clients, "clients", 8, "clients that connect at the same time, each from an address of its own")
	if err := c.parse(args); err != nil {
		return err
	}
	defer c.rig.close()
	if _, err := proc.RaiseFiles(); err != nil {
		return err
	}
	samples, err := inTurns(c.rounds, c.servers, c.measure)
	if err != nil {
		return err
	}
	fmt.Printf("connect: %d sockets, %d at a time; median of %d (best)\n", c.sockets, c.clients, c.rounds)
	var base, leastBase float64
	for _, name := range c.servers {
		m, best := median(samples[name], func(s connectSample) float64 { return float64(s.cpu) })
		if name == "http" {
			base, leastBase = float64(m.cpu), float64(best.cpu)
		}
		fmt.Printf("  %-10s %7.1f us CPU (%.1f)", name, micros(m.cpu), micros(best.cpu))
		if base > 0 {
			fmt.Printf("  %5.2f x net/http (%.2f)", float64(m.cpu)/base, float64(best.cpu)/leastBase)
		}
		fmt.Printf("  %6.0f connects/s", m.rate)
		if base > 0 && name == "memory" {
			fmt.Print(bar{limit: 2}.judge(float64(m.cpu) / base))
		}
		fmt.Println()
	}
	return nil
}

type connect struct {
	*setting
	sockets, clients int
}

// connectSample is one measurement.
type connectSample struct {
	cpu  time.Duration // of the server, for one connect
	rate float64       // connects a second
}

func (c *connect) measure(server string) (s connectSample, err error) {
	p, err := c.rig.start(proc.Config{Role: server})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	fds := make([][]int, c.clients)
	errs := make([]error, c.clients)
	defer func() {
		for _, fd := range fds {
			for _, fd := range fd {
				_ = syscall.Close(fd)
			}
		}
	}()
	connect := func(number, n int) { // n sockets
		buf := make([]byte, 64<<10)
		for range n {
			fd, err := load.Dial(p.Address, wire.Name('i', len(fds[number])), number, dialectOf(server), buf)
			if err != nil {
				errs[number] = err
				return
			}
			fds[number] = append(fds[number], fd)
		}
	}
	connect(0, 1) // what is set up once
	time.Sleep(50 * time.Millisecond)
	cpu, start := p.CPU(), time.Now()
	var wait sync.WaitGroup
	for number := range c.clients {
		wait.Go(func() { connect(number, c.sockets/c.clients) })
	}
	wait.Wait()
	took := time.Since(start)
	time.Sleep(50 * time.Millisecond) // what it does behind the last one
	n := c.sockets / c.clients * c.clients
	s = connectSample{cpu: (p.CPU() - cpu) / time.Duration(n), rate: float64(n) / took.Seconds()}
	return s, errors.Join(errs...)
}
