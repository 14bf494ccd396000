//go:build linux

package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/bachata-go/bachata"
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

// serveTLS serves the default mux with a certificate of its own making.
func serveTLS(l net.Listener) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{"localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	s := &http.Server{TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		NextProtos:   []string{"http/1.1"},
	}}
	proc.Ready(l.Addr().String(), nil)
	return s.ServeTLS(bachata.NewListener(l, nil), "", "")
}
