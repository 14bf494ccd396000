package bachata_test

import (
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"

	"github.com/bachata-go/bachata"
)

// BenchmarkAnswer sends messages in bursts over 64 connections and waits for their 100s: handler, session and routes,
// with a queue that does nothing. Client and server share the processors.
func BenchmarkAnswer(b *testing.B) {
	for _, driver := range []string{"polled", "parked"} {
		for _, burst := range []int{1, 50} {
			b.Run(fmt.Sprintf("%s/burst=%d", driver, burst), func(b *testing.B) { benchmarkAnswer(b, driver == "parked", burst) })
		}
	}
}

func benchmarkAnswer(b *testing.B, parked bool, burst int) {
	center := bachata.NewCenter(voidQueue{}, nil)
	defer center.Close()
	if err := center.AddRoute(bachata.Direct()); err != nil {
		b.Fatal(err)
	}
	h := &bachata.Handler{Center: center, Authenticate: byName}
	if parked {
		h.Portable = true
	}
	server := httptest.NewServer(h)
	defer server.Close()
	const connections = 64
	in := []byte(strings.Repeat(string(texts(note)), burst))
	answers := burst * (2 + len(accepted))
	conns := make(chan net.Conn, connections)
	for i := range connections {
		conn, r, _, err := ws.Dial(b.Context(), fmt.Sprintf("ws%s/?channel=c%d", strings.TrimPrefix(server.URL, "http"), i))
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		var ready io.Reader = conn
		if r != nil {
			ready = r
		}
		if _, _, err := readFrame(ready); err != nil {
			b.Fatal(err)
		}
		conns <- conn
	}
	var sent atomic.Int64
	b.SetParallelism(connections / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		conn := <-conns
		out := make([]byte, answers)
		for pb.Next() {
			if sent.Add(1)%int64(burst) != 0 {
				continue // a burst stands for as many operations
			}
			if _, err := conn.Write(in); err != nil {
				b.Error(err)
				return
			}
			if _, err := io.ReadFull(conn, out); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
