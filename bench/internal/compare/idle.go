//go:build linux

package compare

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bachata-go/bachata/bench/internal/proc"
)

// Idle measures what a socket costs that does nothing but answer pings: the resident memory of the server after a minute,
// less that before the first connect, and the CPU that its pings take, beside the floor that pings as often. The garbage
// collector is left as it is. The servers run at the same time, and so do the clients, in processes of their own.
func Idle(args []string) error {
	flags := flag.NewFlagSet("idle", flag.ContinueOnError)
	sockets := flags.Int("sockets", 15000, "sockets of each server")
	wait := flags.Duration("wait", time.Minute, "how long they are idle")
	servers := flags.String("servers", "floor,memory,memory+tls", "servers to measure, the floor first")
	if err := flags.Parse(args); err != nil {
		return err
	}
	limit, err := proc.RaiseFiles()
	if err != nil {
		return err
	}
	if limit < *sockets+100 {
		return fmt.Errorf("%d sockets need as many open files, and a process may have %d (ulimit -Hn)", *sockets, limit)
	}
	rig, err := newRig(".")
	if err != nil {
		return err
	}
	defer rig.close()
	var all []*idle
	defer func() {
		for _, s := range slices.Backward(all) {
			s.stop()
		}
	}()
	for name := range strings.SplitSeq(*servers, ",") {
		s, err := startIdle(rig, name, *sockets)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, s)
	}
	// By then the last ones have been connected for a tenth of the time, and the first pings are out.
	time.Sleep(*wait / 10)
	for _, s := range all {
		if err := s.begin(); err != nil {
			return err
		}
	}
	time.Sleep(*wait * 9 / 10)
	fmt.Printf("idle: %d sockets each, after %v\n", *sockets, *wait)
	var floor, floorPing time.Duration
	for _, s := range all {
		cpu, pings, goroutines, err := s.end()
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		ping := cpu / time.Duration(max(1, pings))
		if s.name == "floor" {
			floor, floorPing = cpu, ping
		}
		each := float64(s.server.RSS()-s.before) / 1024 / float64(*sockets)
		fmt.Printf("  %-10s %7.2f KB RSS each%s  %6d goroutines", s.name, each, idleBars[s.name].judge(each), goroutines)
		fmt.Printf("  %6.1f ms CPU a second  %5d pings, %5.1f us each", cpu.Seconds()*1e3/(*wait*9/10).Seconds(), pings, micros(ping))
		if floor > 0 {
			ratio := float64(ping) / float64(floorPing)
			fmt.Printf("  %5.2f x floor, %.2f a ping", float64(cpu)/float64(floor), ratio)
			if s.name == "memory" {
				fmt.Print(bar{limit: 2}.judge(ratio))
			}
		}
		fmt.Println()
	}
	return nil
}

// idleBars are the KB of resident memory that a socket may cost.
var idleBars = map[string]bar{"memory": {limit: 1}, "memory+tls": {limit: 10}}

// idle is one server and its clients.
type idle struct {
	name           string
	server, client *proc.Process
	before         int // resident bytes without a socket

	cpu   time.Duration // when the measurement began
	pings int64
}

func startIdle(rig *rig, name string, sockets int) (*idle, error) {
	role, tls := strings.CutSuffix(name, "+tls")
	s := &idle{name: name}
	var err error
	if s.server, err = rig.start(proc.Config{Role: role, TLS: tls}); err != nil {
		return nil, err
	}
	time.Sleep(100 * time.Millisecond) // what it does to start
	s.before = s.server.RSS()
	s.client, err = proc.Start("", proc.Config{Role: "listen", TLS: tls, Address: s.server.Address, Sockets: sockets})
	if err != nil {
		return nil, errors.Join(err, s.server.Stop())
	}
	return s, nil
}

func (s *idle) begin() error {
	stats, err := s.client.Stats()
	s.cpu, s.pings = s.server.CPU(), stats.Pings
	return err
}

func (s *idle) end() (cpu time.Duration, pings int64, goroutines int, err error) {
	cpu = s.server.CPU() - s.cpu
	client, err := s.client.Stats()
	if err != nil {
		return 0, 0, 0, err
	}
	server, err := s.server.Stats()
	return cpu, client.Pings - s.pings, server.Goroutines, err
}

func (s *idle) stop() {
	_ = s.client.Stop()
	_ = s.server.Stop()
}
