package seglog_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

func collect(t *testing.T, l *seglog.Log, text string) seglog.Ticket {
	t.Helper()
	_, ticket, err := l.Collect([]byte(text), false)
	if err != nil {
		t.Fatalf("Collect: %v", err)
	}
	return ticket
}

// stopSyncs has the next syncs of segments wait for the channel that is returned, and end with what it brings; once it is
// closed, they end well.
func stopSyncs(m *vfs.Mem) chan error {
	ends := make(chan error)
	m.OnOp(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, ".seg") {
			return <-ends
		}
		return nil
	})
	return ends
}

func TestLead(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	o := options(m)
	told := seglog.Ticket(0)
	o.OnSync = func(ticket seglog.Ticket) { told = ticket }
	l, _ := open(t, o)
	defer closeLog(t, l)
	for _, text := range []string{"one", "two"} {
		ticket := collect(t, l, text)
		l.Lead(ticket)
		if l.Synced() != ticket || told != ticket { // which nobody else was asked for
			t.Errorf("behind Lead(%d) Synced() = %d, and OnSync was told %d", ticket, l.Synced(), told)
		}
		ops := m.Ops()
		l.Lead(ticket)
		l.Lead(ticket + 1)
		if err := l.Wait(t.Context(), ticket); err != nil || m.Ops() != ops {
			t.Errorf("Wait(%d) = %v, and %d operations, behind Lead", ticket, err, m.Ops()-ops)
		}
	}
}

// TestLeadLeavesToOthers wants Lead to return at once while another batch is being written: one that Lead writes, or one that
// the log's own goroutine does. What it leaves is written when that is done.
func TestLeadLeavesToOthers(t *testing.T) {
	t.Parallel()
	writers := map[string]func(*seglog.Log, seglog.Ticket){
		"another Lead": func(l *seglog.Log, ticket seglog.Ticket) { go l.Lead(ticket) },
		"Flush":        func(l *seglog.Log, _ seglog.Ticket) { l.Flush() },
	}
	for name, write := range writers {
		synctest.Test(t, func(t *testing.T) {
			m := vfs.NewMem()
			l, _ := open(t, options(m))
			ends := stopSyncs(m)
			first := collect(t, l, "first")
			write(l, first)
			synctest.Wait()
			second := collect(t, l, "second")
			l.Lead(second)
			if l.Synced() >= first {
				t.Fatalf("%s: Synced() = %d while the sync of %d is held up", name, l.Synced(), first)
			}
			waited := make(chan error, 1)
			go func() { waited <- l.Wait(t.Context(), second) }()
			synctest.Wait()
			for range 3 { // of the header of the segment too, the first time
				select {
				case ends <- nil:
				default:
				}
				synctest.Wait()
			}
			if err := <-waited; err != nil || l.Synced() != second {
				t.Errorf("%s: Wait(%d) = %v, and Synced() = %d", name, second, err, l.Synced())
			}
			m.OnOp(nil)
			closeLog(t, l)
		})
	}
}

// TestLeadFails wants the error of a sync that Lead has tried to stop the log, and to be told to all who wait.
func TestLeadFails(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	l, _ := open(t, options(m))
	m.OnOp(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync {
			return syscall.EIO
		}
		return nil
	})
	ticket := collect(t, l, "lost")
	l.Lead(ticket)
	for range 2 {
		if err := l.Wait(t.Context(), ticket); !errors.Is(err, seglog.ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Errorf("Wait = %v, want ErrFailed with EIO", err)
		}
	}
	if _, _, err := l.Collect([]byte("more"), true); !errors.Is(err, seglog.ErrFailed) {
		t.Errorf("Collect behind it = %v, want ErrFailed", err)
	}
	if err := l.Close(); !errors.Is(err, seglog.ErrFailed) {
		t.Errorf("Close = %v, want ErrFailed", err)
	}
}

// TestCloseWaitsForLead closes a log while Lead writes: its mark of a clean end comes behind that.
func TestCloseWaitsForLead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := vfs.NewMem()
		o := options(m)
		l, _ := open(t, o)
		ends := stopSyncs(m)
		ticket := collect(t, l, "kept")
		go l.Lead(ticket)
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- l.Close() }()
		synctest.Wait()
		select {
		case err := <-closed:
			t.Fatalf("Close returned %v while Lead writes", err)
		default:
		}
		m.OnOp(nil)
		ends <- nil
		if err := <-closed; err != nil {
			t.Errorf("Close = %v", err)
		}
		_, got := open(t, o)
		if len(got) != 1 || string(got[0].rec) != "kept" {
			t.Errorf("the log has %d records, want the one that Lead wrote", len(got))
		}
	})
}

// TestLeadOnlyItsTicket wants Lead to leave alone what is being collected under another ticket.
func TestLeadOnlyItsTicket(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem()
	l, _ := open(t, options(m))
	first := collect(t, l, "first")
	l.Lead(first)
	second := collect(t, l, "second")
	l.Lead(first)
	l.Lead(second + 1)
	if l.Synced() != first {
		t.Errorf("Synced() = %d, want %d: nobody wants the batch behind it", l.Synced(), first)
	}
	closeLog(t, l)
}

// TestLeadKeepsTheOrder has batches wait for the log's own goroutine, because the segment was full, when Lead is called for
// the one behind them.
func TestLeadKeepsTheOrder(t *testing.T) {
	t.Parallel()
	o := options(vfs.NewMem())
	var last, wrong seglog.Ticket
	o.OnSync = func(ticket seglog.Ticket) {
		if ticket != last+1 && last != 0 {
			wrong = ticket
		}
		last = ticket
	}
	l, _ := open(t, o)
	large := strings.Repeat("x", segmentBytes*2/3)
	for range 50 {
		collect(t, l, large)
		ticket := collect(t, l, large) // of the next segment
		l.Lead(ticket)
		if err := l.Wait(t.Context(), ticket); err != nil {
			t.Fatal(err)
		}
		if wrong != 0 {
			t.Fatalf("%d was synced before those that come before it", wrong)
		}
		for _, s := range l.Segments()[:len(l.Segments())-1] {
			if err := l.Release(s.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	closeLog(t, l)
}

// TestLeadLeavesWhatIsQueued has a batch be full while Lead writes the one before it, and be waited for: it is written when
// that is done, and what is being collected behind it is not.
func TestLeadLeavesWhatIsQueued(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := vfs.NewMem()
		l, _ := open(t, options(m))
		ends := stopSyncs(m)
		first := collect(t, l, "first")
		go l.Lead(first)
		synctest.Wait()
		large := strings.Repeat("x", segmentBytes*2/3)
		second := collect(t, l, large)
		third := collect(t, l, large)
		waited := make(chan error, 1)
		go func() { waited <- l.Wait(t.Context(), second) }()
		synctest.Wait()
		m.OnOp(nil)
		ends <- nil
		synctest.Wait()
		select {
		case err := <-waited:
			if err != nil || l.Synced() != second || third != second+1 {
				t.Errorf("Wait(%d) = %v, Synced() = %d, and %d is being collected", second, err, l.Synced(), third)
			}
		default:
			t.Errorf("Wait(%d) does not return, Synced() = %d", second, l.Synced())
			l.Flush()
		}
		closeLog(t, l)
	})
}
