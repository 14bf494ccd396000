package bachata_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
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

// wireOf accepts a connection from a client that sends what it is given.
func wireOf(t *testing.T, sends []byte) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l = bachata.NewListener(l, nil)
	t.Cleanup(func() { l.Close() })
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	if _, err := client.Write(sends); err != nil {
		t.Fatal(err)
	}
	client.Close()
	return server
}

func tlsRecord(typ byte, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{typ, 3, 1}, uint16(len(payload))), payload...)
}

// A client's first message is handed to crypto/tls in short records, and nothing else of what it sends is changed.
func TestListenerSplitsFirstMessage(t *testing.T) {
	t.Parallel()
	text := make([]byte, 1<<14)
	for i := range text {
		text[i] = byte(i * 7)
	}
	second := tlsRecord(22, text[:2000])
	for _, size := range []int{0, 1, 300, 571, 572, 1400, 1500, 1503, 2000, 1 << 14} {
		server := wireOf(t, append(tlsRecord(22, text[:size]), second...))
		var message []byte
		for len(message) < size {
			header := make([]byte, 5)
			if _, err := io.ReadFull(server, header); err != nil {
				t.Fatal(err)
			}
			payload := make([]byte, binary.BigEndian.Uint16(header[3:]))
			if _, err := io.ReadFull(server, payload); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(header[:3], []byte{22, 3, 1}) || len(payload) > 571 {
				t.Errorf("of %d bytes a record came with %x and %d bytes", size, header, len(payload))
			}
			message = append(message, payload...)
		}
		rest, err := io.ReadAll(server)
		if size == 0 {
			rest = bytes.TrimPrefix(rest, tlsRecord(22, nil))
		}
		if !bytes.Equal(message, text[:size]) || err != nil || !bytes.Equal(rest, second) {
			t.Errorf("a message of %d bytes came as %d, and %d bytes behind it of %d, %v",
				size, len(message), len(rest), len(second), err)
		}
	}
}

// What is no TLS, or no whole record, is handed on as it is.
func TestListenerLeavesTheRest(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("x"), 3000)
	for name, sends := range map[string][]byte{
		"HTTP":        append([]byte("GET / HTTP/1.1\r\n\r\n"), long...),
		"other type":  tlsRecord(23, long),
		"too long":    append([]byte{22, 3, 1, 0xff, 0xff}, long...),
		"half header": {22, 3},
	} {
		if got, err := io.ReadAll(wireOf(t, sends)); err != nil || !bytes.Equal(got, sends) {
			t.Errorf("%s: %d bytes came of %d, %v", name, len(got), len(sends), err)
		}
	}
	half := tlsRecord(22, long)[:1000]
	if got, err := io.ReadAll(wireOf(t, half)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a record: %d bytes came of %d, %v", len(got), len(half), err)
	}
}
