package seglog_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

func TestConcurrentAppenders(t *testing.T) {
	t.Parallel()
	const appenders, each = 8, 300
	m := vfs.NewMem()
	o := options(m)
	o.SegmentBytes = 64 << 10
	var last seglog.Ticket
	o.OnSync = func(ticket seglog.Ticket) {
		if ticket != last+1 {
			t.Errorf("OnSync(%d) after %d", ticket, last)
		}
		last = ticket
	}
	l, _ := open(t, o)
	var wg sync.WaitGroup
	var mu sync.Mutex
	places := map[seglog.Pos][]byte{}
	for a := range appenders {
		wg.Go(func() {
			for i := range each {
				rec := binary.LittleEndian.AppendUint32(nil, uint32(a))
				rec = binary.LittleEndian.AppendUint32(rec, uint32(i))
				rec = append(rec, make([]byte, i%200)...)
				add := l.Append
				if i%3 == 0 {
					add = l.Collect
				}
				pos, ticket, err := add(rec, i%2 == 0)
				if i%4 == 0 {
					l.Lead(ticket)
				}
				if err == nil {
					err = l.Wait(t.Context(), ticket)
				}
				if err != nil {
					t.Errorf("appender %d: %v", a, err)
					return
				}
				if l.Synced() < ticket {
					t.Errorf("Synced() = %d after Wait(%d)", l.Synced(), ticket)
				}
				if got, err := l.Read(pos, len(rec), nil); err != nil || !bytes.Equal(got, rec) {
					t.Errorf("Read(%v) = %v, %v", pos, got, err)
				}
				mu.Lock()
				places[pos] = rec
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if last == 0 || last != l.Synced() {
		t.Errorf("OnSync was last called with %d, Synced() = %d", last, l.Synced())
	}
	closeLog(t, l)
	_, got := open(t, o)
	if len(got) != appenders*each {
		t.Fatalf("%d records are there, want %d", len(got), appenders*each)
	}
	next := make([]uint32, appenders)
	for _, e := range got {
		if !bytes.Equal(places[e.pos], e.rec) {
			t.Fatalf("the record at %v is not the one that was put there", e.pos)
		}
		a, i := binary.LittleEndian.Uint32(e.rec), binary.LittleEndian.Uint32(e.rec[4:])
		if next[a] != i {
			t.Fatalf("appender %d: record %d where %d is due", a, i, next[a])
		}
		next[a]++
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	l, _ := open(t, options(m))
	block := stopSyncs(m)
	_, ticket, err := l.Append([]byte("x"), false)
	if err != nil {
		t.Fatalf("Append: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Wait(ctx, ticket); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait with a context that ended: %v, want context.Canceled", err)
	}
	if err := l.Wait(t.Context(), ticket+1); err == nil {
		t.Error("Wait for a ticket that was never given out: no error")
	}
	close(block)
	if err := l.Wait(t.Context(), ticket); err != nil {
		t.Errorf("Wait: %v", err)
	}
}

// TestOnSyncComesFirst wants Wait to return only after OnSync has, and Synced to be right within OnSync.
func TestOnSyncComesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		entered, leave := make(chan struct{}), make(chan struct{})
		o := options(vfs.NewMem())
		var l *seglog.Log
		o.OnSync = func(ticket seglog.Ticket) {
			if l.Synced() != ticket {
				t.Errorf("Synced() = %d in OnSync(%d)", l.Synced(), ticket)
			}
			close(entered)
			<-leave
		}
		l, _ = open(t, o)
		_, ticket, err := l.Append(nil, false)
		if err != nil {
			t.Fatalf("Append: %v", err)
		}
		<-entered
		waited := make(chan error, 1)
		go func() { waited <- l.Wait(context.Background(), ticket) }()
		synctest.Wait()
		select {
		case err := <-waited:
			t.Errorf("Wait returned %v before OnSync did", err)
			waited <- err
		default:
		}
		close(leave)
		if err := <-waited; err != nil {
			t.Errorf("Wait: %v", err)
		}
		closeLog(t, l)
	})
}

// TestBatchesAreBounded has the writer stuck while more is appended than one batch shall hold.
func TestBatchesAreBounded(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	o := options(m)
	o.SegmentBytes = 8 << 20
	l, _ := open(t, o)
	stuck := stopSyncs(m)
	batches := map[seglog.Ticket]int{}
	for range 6 {
		_, ticket, err := l.Append(make([]byte, 1<<20), true)
		if err != nil {
			t.Fatalf("Append: %v", err)
		}
		batches[ticket]++
	}
	close(stuck)
	for ticket, n := range batches {
		if n > 4 {
			t.Errorf("batch %d has %d MiB, want 4 at most", ticket, n)
		}
		if err := l.Wait(t.Context(), ticket); err != nil {
			t.Errorf("Wait: %v", err)
		}
	}
}

// What is collected is written, as one batch, when somebody waits for it, or for a later record, or calls Flush.
func TestCollect(t *testing.T) {
	t.Parallel()
	ways := map[string]func(ctx context.Context, l *seglog.Log, last seglog.Ticket) error{
		"wait": func(ctx context.Context, l *seglog.Log, last seglog.Ticket) error { return l.Wait(ctx, last) },
		"flush": func(_ context.Context, l *seglog.Log, _ seglog.Ticket) error {
			l.Flush()
			return nil
		},
		"append": func(_ context.Context, l *seglog.Log, _ seglog.Ticket) error {
			_, _, err := l.Append([]byte("another"), false)
			return err
		},
		"close": func(_ context.Context, l *seglog.Log, _ seglog.Ticket) error { return l.Close() },
	}
	for name, way := range ways {
		synctest.Test(t, func(t *testing.T) {
			o := options(vfs.NewMem())
			syncs := 0
			o.OnSync = func(seglog.Ticket) { syncs++ }
			l, _ := open(t, o)
			var last seglog.Ticket
			for range 100 {
				_, ticket, err := l.Collect([]byte("record"), false)
				if err != nil {
					t.Fatal(err)
				}
				last = ticket
			}
			synctest.Wait()
			if syncs > 0 || l.Synced() >= last {
				t.Errorf("%s: %d batches are synced before anybody wants them", name, syncs)
			}
			if err := way(t.Context(), l, last); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			synctest.Wait()
			if syncs != 1 || l.Synced() < last {
				t.Errorf("%s: %d batches are synced, up to %d, want one up to %d", name, syncs, l.Synced(), last)
			}
			if err := l.Close(); err != nil {
				t.Errorf("%s: Close() = %v", name, err)
			}
		})
	}
}
