//go:build linux

// Package compare measures servers against each other, all in one run: what is told is a ratio to the floor, which does
// the same work with nothing but system calls.
package compare

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/bachata-go/bachata/bench/internal/load"
	"github.com/bachata-go/bachata/bench/internal/proc"
)

// rig starts the servers.
type rig struct {
	dir  string // for what they store, and for programs
	peer string // the program of centrifuge, once it is built
}

// newRig makes a folder below dir.
func newRig(dir string) (*rig, error) {
	dir, err := os.MkdirTemp(dir, ".bench-")
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	return &rig{dir: dir}, nil
}

func (r *rig) close() { _ = os.RemoveAll(r.dir) }

// start runs a server; "memory@FILE" is that of another build of this program. Peers are programs of their own, built when
// they are first wanted, so that nothing of theirs runs in any other process, and who measures only ours need not download
// them.
func (r *rig) start(c proc.Config) (*proc.Process, error) {
	var program string
	c.Role, program, _ = strings.Cut(c.Role, "@")
	switch c.Role {
	case "centrifuge":
		var err error
		if program, err = r.centrifuge(); err != nil {
			return nil, err
		}
	case "disk":
		var err error
		if c.Dir, err = os.MkdirTemp(r.dir, "disk-"); err != nil {
			return nil, err
		}
	}
	p, err := proc.Start(program, c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Role, err)
	}
	return p, nil
}

func (r *rig) centrifuge() (string, error) {
	if r.peer != "" {
		return r.peer, nil
	}
	_, file, _, _ := runtime.Caller(0)
	program := filepath.Join(r.dir, "centrifuge")
	build := exec.Command("go", "build", "-o", program, "./centrifuge")
	build.Dir = filepath.Join(filepath.Dir(file), "..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build centrifuge: %w\n%s", err, out)
	}
	r.peer = program
	return program, nil
}

// dialectOf returns how clients of a server talk.
func dialectOf(role string) *load.Dialect {
	if role == "centrifuge" {
		return load.Centrifuge
	}
	return load.Bachata
}

// setting is what most parts are told by flags.
type setting struct {
	flags    *flag.FlagSet
	servers  []string
	rounds   int
	duration time.Duration // of one measurement
	rig      *rig

	list    *string
	seconds *float64
	dir     string
	profile string
}

// newSetting makes the flags of a part, with the defaults of those that it has in common with others.
func newSetting(part, servers, what string, rounds int) *setting {
	s := &setting{flags: flag.NewFlagSet(part, flag.ContinueOnError), dir: "."}
	s.list = s.flags.String("servers", servers, "servers to measure"+what)
	s.flags.IntVar(&s.rounds, "rounds", rounds, "measurements of each, in turns")
	return s
}

// timed adds the flags of a part that measures for a time, the disk queue too.
func (s *setting) timed(seconds float64) {
	s.seconds = s.flags.Float64("seconds", seconds, "seconds that each measurement takes")
	s.flags.StringVar(&s.dir, "dir", ".", "where the disk queue is, for as long as this runs")
}

// profiled adds the flag of a part that can show where the CPU goes.
func (s *setting) profiled() {
	s.flags.StringVar(&s.profile, "profile", "", "write CPU profiles to files that begin with this, in a pass of their own")
}

// parse reads the flags and makes the rig, which has to be closed.
func (s *setting) parse(args []string) error {
	if err := s.flags.Parse(args); err != nil {
		return err
	}
	s.servers = strings.Split(*s.list, ",")
	if s.seconds != nil {
		s.duration = time.Duration(*s.seconds * float64(time.Second))
	}
	var err error
	s.rig, err = newRig(s.dir)
	return err
}

// inTurns measures each of names so many times, one after the other.
func inTurns[T any](rounds int, names []string, measure func(name string) (T, error)) (map[string][]T, error) {
	samples := map[string][]T{}
	for range rounds {
		for _, name := range names {
			s, err := measure(name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			samples[name] = append(samples[name], s)
		}
	}
	return samples, nil
}

// median returns the middle one by what of says, and the least.
func median[T any](all []T, of func(T) float64) (middle, least T) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b T) int { return cmp.Compare(of(a), of(b)) })
	return all[len(all)/2], all[0]
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// bar is what a figure is held to; the zero bar holds nothing.
type bar struct {
	limit   float64
	atLeast bool // it is to be above, not below
}

// judge says whether figure keeps to the bar.
func (b bar) judge(figure float64) string {
	if b.limit == 0 {
		return ""
	}
	sign, kept := "<=", figure <= b.limit
	if b.atLeast {
		sign, kept = ">=", figure >= b.limit
	}
	if kept {
		return fmt.Sprintf("  [%s %g: kept]", sign, b.limit)
	}
	return fmt.Sprintf("  [%s %g: missed]", sign, b.limit)
}
