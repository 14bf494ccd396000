//go:build linux

package proc

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// TestReservePort: what is reserved is nobody else's, and can still be listened on, again and again.
func TestReservePort(t *testing.T) {
	t.Parallel()
	seen := make(map[int]bool)
	for range 50 {
		p, err := reservePort()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			for range 2 {
				if err := p.close(); err != nil {
					t.Error(err)
				}
			}
		})
		if seen[p.number] {
			t.Fatalf("port %d was given out twice", p.number)
		}
		seen[p.number] = true
		for range 2 {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.number))
			if err != nil {
				t.Fatalf("listen on a reserved port: %v", err)
			}
			l.Close()
		}
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	t.Parallel()
	var log tail
	for range 100 {
		if _, err := log.Write([]byte(strings.Repeat("x", 4000))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := log.Write([]byte("the end")); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); len(got) > 200<<10 || !strings.HasSuffix(got, "the end") {
		t.Errorf("%d bytes are kept, ending in %q", len(got), got[max(0, len(got)-10):])
	}
}
