package disk_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
	"github.com/bachata-go/bachata/internal/vfs"
)

// TestStuckDisk has a sync that does not come back, and far more be put meanwhile than may wait for it: others can read
// all the same, and whose context ends need not wait.
func TestStuckDisk(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	q, err := disk.Open("q", &disk.Options{QueueOptions: bachata.QueueOptions{SweepEvery: -1}, FS: mem})
	if err != nil {
		t.Fatal(err)
	}
	put(t, q, bachata.Item{Channels: []string{"bob"}, ID: bachata.StringID("1"), Payload: []byte("x")})
	stuck := make(chan struct{})
	mem.OnOp(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, ".seg") {
			<-stuck
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	payload := []byte(strings.Repeat("x", 1<<20))
	var senders sync.WaitGroup
	for i := range 90 {
		senders.Go(func() {
			_, err := q.Put(ctx, []bachata.Item{{Channels: []string{fmt.Sprint("c", i)}, Payload: payload}})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Put whose context ended, on a disk that is stuck: %v, want context.Canceled", err)
			}
		})
	}
	deadline := time.After(30 * time.Second)
	finished := func(what string, do func()) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			do()
		}()
		select {
		case <-done:
		case <-deadline:
			close(stuck)
			t.Fatalf("%s waits for a disk that is stuck", what)
		}
	}
	for range 100 { // while they come in
		finished("Fetch", func() {
			list, err := q.Fetch(t.Context(), "bob", 0, bachata.Limit{})
			if err != nil || len(list) != 1 {
				t.Errorf("Fetch returned %+v, %v, want one message", list, err)
			}
		})
		time.Sleep(time.Millisecond) // they can't be seen waiting
	}
	cancel()
	finished("Put", senders.Wait)
	close(stuck)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
}
