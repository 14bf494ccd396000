package bachata_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bachata-go/bachata"
)

// scarceListener has no descriptor for some time.
type scarceListener struct {
	net.Listener
	until time.Time
	then  error
}

func (l scarceListener) Accept() (net.Conn, error) {
	if time.Now().Before(l.until) {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	if l.then != nil {
		return nil, l.then
	}
	conn, _ := net.Pipe()
	return conn, nil
}

func (scarceListener) Close() error { return nil }

func TestListenerWaitsForDescriptors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		begin := time.Now()
		l := bachata.NewListener(scarceListener{until: begin.Add(time.Minute)}, logger)
		if _, err := l.Accept(); err != nil {
			t.Errorf("Accept() = %v", err)
		}
		if d := time.Since(begin); d > time.Minute+time.Second {
			t.Errorf("accepted after %v, want it within a second after descriptors are free", d)
		}
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("the log has %d errors, want one:\n%s", n, log.String())
		}
	})
}

func TestListenerCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := bachata.NewListener(scarceListener{until: time.Now().Add(time.Hour)}, nil)
		time.AfterFunc(time.Minute, func() {
			for range 2 {
				if err := l.Close(); err != nil {
					t.Errorf("Close() = %v", err)
				}
			}
		})
		begin := time.Now()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) || time.Since(begin) != time.Minute {
			t.Errorf("Accept() = %v after %v, want net.ErrClosed when it is closed", err, time.Since(begin))
		}
	})
}

func TestListenerPassesErrorsOn(t *testing.T) {
	t.Parallel()
	other := errors.New("other")
	if _, err := bachata.NewListener(scarceListener{then: other}, nil).Accept(); err != other {
		t.Errorf("Accept() = %v, want the listener's own error", err)
	}
}
