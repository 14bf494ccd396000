package memory_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

type counts [64]atomic.Int64

func (c *counts) Add(counter bachata.Counter, n int64) { c[counter].Add(n) }

// The cap on remembered ids shortens the window: Info, a line in the log and a counter say so.
func TestShortenedWindowIsTold(t *testing.T) {
	t.Parallel()
	var counters counts
	var log bytes.Buffer
	q := memory.New(&memory.Options{DedupeCap: 100, Counters: &counters, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	defer q.Close()
	for i := range 1000 {
		item := bachata.Item{Channels: []string{"bob"}, ID: bachata.StringID(fmt.Sprint(i)), Origin: "anna"}
		if _, err := q.Put(t.Context(), []bachata.Item{item}); err != nil {
			t.Fatal(err)
		}
		if _, err := q.PopDelivered(t.Context(), "bob", "bob", []bachata.Key{{ID: item.ID.Text}}); err != nil {
			t.Fatal(err)
		}
	}
	if window := q.Info().Dedupe; window >= time.Hour {
		t.Errorf("Info().Dedupe = %v, want less than the hour that it was set to", window)
	}
	if counters[bachata.CountDedupeShortened].Load() == 0 {
		t.Errorf("%v was not counted", bachata.CountDedupeShortened)
	}
	if !strings.Contains(log.String(), "dedupe window is shortened") {
		t.Errorf("the log says %q", log.String())
	}
}

// New has no error to return: every method says which option is wrong.
func TestBadOptions(t *testing.T) {
	t.Parallel()
	q := memory.New(&memory.Options{Dedupe: time.Second})
	defer q.Close()
	_, err := q.Put(t.Context(), []bachata.Item{{Channels: []string{"bob"}}})
	if err == nil || !strings.Contains(err.Error(), "Dedupe is 1s, must be 2m0s to 168h0m0s") {
		t.Errorf("Put() = %v, want the name of the option and its limits", err)
	}
}
