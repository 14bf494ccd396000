//go:build linux

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bachata-go/bachata/internal/faults/checker"
	"github.com/bachata-go/bachata/internal/faults/client"
	"github.com/bachata-go/bachata/internal/faults/history"
	"github.com/bachata-go/bachata/internal/faults/proc"
)

// settleTime is how long everything may take to go quiet once the load has ended. It is long: the machine may be busy.
const settleTime = 60 * time.Second

// scene is one run: its clients and their histories.
type scene struct {
	dir       string
	clock     *history.Clock
	recorders []*history.Recorder
	clients   []*client.Client
	channels  []string
	late      bool // a receipt may come behind what was put after its message was confirmed
}

// newScene makes a scene whose histories go to a folder called name. Its clients end with the test, if not before.
func newScene(t *testing.T, name string) *scene {
	t.Helper()
	base := *histories
	if base == "" {
		base = t.TempDir()
	}
	dir := filepath.Join(base, strings.ReplaceAll(t.Name(), "/", "_"), name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &scene{dir: dir, clock: history.NewClock()}
	t.Cleanup(s.close)
	return s
}

// join adds a client on a channel of its own.
func (s *scene) join(t *testing.T, channel string, o client.Options) *client.Client {
	t.Helper()
	o.Channel = channel
	o.Recorder = s.recorder(t, history.Header{Client: channel, Channel: channel, From: channel})
	c := client.New(o)
	s.clients = append(s.clients, c)
	s.channels = append(s.channels, channel)
	return c
}

// dialed returns how often each client has dialed.
func (s *scene) dialed() []int {
	var list []int
	for _, c := range s.clients {
		list = append(list, c.Dialed())
	}
	return list
}

func (s *scene) recorder(t *testing.T, h history.Header) *history.Recorder {
	t.Helper()
	r, err := history.Create(s.dir, h, s.clock)
	if err != nil {
		t.Fatal(err)
	}
	s.recorders = append(s.recorders, r)
	return r
}

// load has every client send to the others, itself included, until ctx ends: bursts of 1 to 8 messages, a burst a tick.
func (s *scene) load(ctx context.Context, tick time.Duration, seed uint64) error {
	var all sync.WaitGroup
	errs := make([]error, len(s.clients))
	for i, c := range s.clients {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		all.Go(func() {
			ticker := time.NewTicker(tick)
			defer ticker.Stop()
			for ctx.Err() == nil {
				for range 1 + random.IntN(8) {
					dest := s.channels[random.IntN(len(s.channels))]
					if _, err := c.Send(ctx, dest, data(random)); err != nil && ctx.Err() == nil {
						errs[i] = err
						return
					}
				}
				select {
				case <-ticker.C:
				case <-ctx.Done():
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// data makes the content of a message: mostly short, sometimes long.
func data(random *rand.Rand) []byte {
	n := random.IntN(200)
	if random.IntN(20) == 0 {
		n = random.IntN(8000)
	}
	return fmt.Appendf(nil, `{"n": %d.50, "text":"%s"}`, random.IntN(1000), strings.Repeat("ä ", n/3))
}

// settle waits until all is answered, seen, confirmed and told, and connects everybody anew to see that nothing comes
// back. Then the histories can be judged.
func (s *scene) settle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), settleTime)
	defer cancel()
	mark := func(c *client.Client) error { return c.Mark(ctx) }
	for _, step := range []struct {
		name string
		do   func(*client.Client) error
	}{
		{"wait for answers", func(c *client.Client) error { return c.Answered(ctx) }},
		{"see and confirm what waits", mark}, // of everybody, before the receipts can be complete
		{"be told of it", mark},
		{"be told of what was left on its way", func(c *client.Client) error {
			if !s.late {
				return nil
			}
			return c.AwaitTold(ctx)
		}},
		{"reconnect", func(c *client.Client) error { c.Reconnect(); return c.Mark(ctx) }},
	} {
		if err := s.each(step.do); err != nil {
			t.Errorf("%s: %v", step.name, err)
			return
		}
	}
	for _, c := range s.clients {
		c.Quiet()
	}
}

func (s *scene) each(do func(*client.Client) error) error {
	var all sync.WaitGroup
	errs := make([]error, len(s.clients))
	for i, c := range s.clients {
		all.Go(func() { errs[i] = do(c) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (s *scene) close() {
	for _, c := range s.clients {
		c.Close()
	}
	for _, r := range s.recorders {
		_ = r.Close() // what could not be written is missed by the checker
	}
}

// judge ends the scene and has the checker read its histories.
func (s *scene) judge(t *testing.T, o checker.Options) checker.Report {
	t.Helper()
	s.close()
	all, err := history.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	report := checker.Check(all, o)
	const most = 20
	for i, v := range report.Violations {
		if i == most {
			t.Errorf("... and %d more", len(report.Violations)-most)
			break
		}
		t.Error(v)
	}
	if report.Accepted == 0 || report.Shown == 0 || report.Receipts == 0 && !o.Simple {
		t.Errorf("nothing was judged: %+v", report)
	}
	if !t.Failed() && *histories == "" {
		if err := os.RemoveAll(s.dir); err != nil {
			t.Error(err)
		}
	}
	return report
}

// newServer makes a server that ends with the test, on a directory of its own if o names none.
func newServer(t *testing.T, o proc.Options) *proc.Server {
	t.Helper()
	o.Program = program
	if *portable && !slices.Contains(o.Args, "--portable") {
		o.Args = append(o.Args, "--portable")
	}
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "queue")
	}
	s, err := proc.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		failed := t.Failed()
		if failed { // the server may hang
			if err := s.Quit(); err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		log := s.Log()
		if failed {
			t.Logf("the end of what the server wrote, and what it did then:\n%s", log)
			return
		}
		for _, bad := range []string{"DATA RACE", "panic", "goroutine "} {
			if strings.Contains(log, bad) {
				t.Errorf("the server's log says %q:\n%s", bad, log)
				break
			}
		}
	})
	return s
}

// start starts the server and waits until it is ready.
func start(t *testing.T, s *proc.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), settleTime)
	defer cancel()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}
