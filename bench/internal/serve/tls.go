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
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/bench/internal/proc"
)

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
	s := &http.Server{TLSConfig: bachata.TLSConfig(&tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		NextProtos:   []string{"http/1.1"},
	})}
	proc.Ready(l.Addr().String(), nil)
	return s.ServeTLS(bachata.NewListener(l, nil), "", "")
}
