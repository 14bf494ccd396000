//go:build linux

package serve

import (
	"net"
	"net/http"
	"sync"

	"github.com/bachata-go/bachata/bench/internal/proc"
	"github.com/bachata-go/bachata/bench/internal/wire"
)

// runHTTP is what connecting is compared with: net/http, which hijacks, writes a 101 and one frame, and keeps the
// connection.
func runHTTP() error {
	answer := wire.AppendServer([]byte(wire.Switching), wire.Ready)
	var mu sync.Mutex
	var kept []net.Conn
	http.HandleFunc("/messages", func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
		mu.Lock()
		kept = append(kept, conn)
		mu.Unlock()
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	proc.Ready(l.Addr().String(), nil)
	return http.Serve(l, nil)
}
