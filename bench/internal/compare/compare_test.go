//go:build linux

package compare

import (
	"fmt"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/bachata-go/bachata/bench/internal/load"
	"github.com/bachata-go/bachata/bench/internal/proc"
	"github.com/bachata-go/bachata/bench/internal/wire"
)

func TestMain(m *testing.M) {
	if _, ok, err := proc.Child(); ok || err != nil {
		os.Exit(Main("", nil))
	}
	os.Exit(m.Run())
}

// TestFloorMovesTheSameBytes sends a message through the floor and through ours, and compares how long what comes is.
func TestFloorMovesTheSameBytes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name             string
		members          int
		receivers        []string
		sender, dest     string
		ours             string
		receipts, frames int // how many are to come
	}{
		{"pair", 0, []string{wire.Name('b', 0)}, wire.Name('a', 0), wire.Name('b', 0), "memory", 1, 3},
		{"group", 2, []string{wire.Name('r', 0), wire.Name('r', 1)}, wire.Name('s', 0), wire.GroupName, "memory", 2, 5},
		{"simple group", 2, []string{wire.Name('r', 0), wire.Name('r', 1)}, wire.Name('s', 0), wire.GroupName, "simple", 0, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			lengths := func(role string) map[string]int {
				p, err := proc.Start("", proc.Config{Role: role, Members: test.members})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = p.Stop() }()
				got, frames := map[string]int{}, 0
				var e *load.Engine
				e, err = load.NewEngine(load.Bachata, func(c *load.Conn, k load.Kind, text []byte) {
					if k == load.Other {
						return // the 1000
					}
					frames++
					got[fmt.Sprintf("%s, kind %d", c.Name, k)] += len(text)
					if k == load.Delivered && test.receipts > 0 {
						e.Say(c, e.Dialect.Confirm("", e.Dialect.IDOf(text)))
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				for i, name := range test.receivers {
					if _, err := e.Dial(p.Address, name, i); err != nil {
						t.Fatal(err)
					}
				}
				sender, err := e.Dial(p.Address, test.sender, 0)
				if err != nil {
					t.Fatal(err)
				}
				e.Say(sender, e.Dialect.Message(test.sender, test.dest, 1))
				for deadline := time.Now().Add(10 * time.Second); frames < test.frames; {
					if time.Now().After(deadline) {
						t.Fatalf("%s: got %v, want %d frames", role, got, test.frames)
					}
					if err := e.Loop(100 * time.Millisecond); err != nil {
						t.Fatal(err)
					}
				}
				return got
			}
			if floor, ours := lengths("floor"), lengths(test.ours); !maps.Equal(floor, ours) {
				t.Errorf("bytes by receiver and kind: floor %v, %s %v", floor, test.ours, ours)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		bar    bar
		figure float64
		want   string
	}{
		{bar{}, 1, ""},
		{bar{limit: 1.25}, 1.25, "  [<= 1.25: kept]"},
		{bar{limit: 1.25}, 1.26, "  [<= 1.25: missed]"},
		{bar{limit: 0.8, atLeast: true}, 0.9, "  [>= 0.8: kept]"},
		{bar{limit: 0.8, atLeast: true}, 0.7, "  [>= 0.8: missed]"},
	} {
		if got := test.bar.judge(test.figure); got != test.want {
			t.Errorf("%v.judge(%v) = %q, want %q", test.bar, test.figure, got, test.want)
		}
	}
}
