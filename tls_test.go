package bachata_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/bachata-go/bachata"
)

const (
	aes    = tls.TLS_AES_128_GCM_SHA256
	chacha = tls.TLS_CHACHA20_POLY1305_SHA256

	oldAES    = tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
	oldChaCha = tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
)

// tlsServer serves what says which cipher suite was chosen, on a Listener unless plain is set.
func tlsServer(t *testing.T, config *tls.Config, plain bool) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.TLS.CipherSuite)
	}))
	if !plain {
		server.Listener = bachata.NewListener(server.Listener, nil)
	}
	server.TLS, server.Config.ErrorLog = config, log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// A connection has small keys if the client can, whether its first message is short or long, and in a second handshake by ticket.
func TestTLSConfig(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		server *tls.Config
		client *tls.Config
		plain  bool // another listener accepts
		want   uint16
	}{
		{name: "TLS 1.3", want: chacha},
		{name: "a short first message", client: &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}, want: chacha},
		{name: "TLS 1.2", client: &tls.Config{MaxVersion: tls.VersionTLS12}, want: oldChaCha},
		{
			name:   "a client without",
			client: &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{oldAES}},
			want:   oldAES,
		},
		{
			name:   "a second first message",
			server: &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP384}},
			client: &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP384}},
			want:   chacha,
		},
		{name: "another listener", plain: true, want: aes},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := tlsServer(t, bachata.TLSConfig(test.server), test.plain)
			pool := x509.NewCertPool()
			pool.AddCert(server.Certificate())
			config := test.client.Clone()
			if config == nil {
				config = new(tls.Config)
			}
			config.RootCAs = pool
			config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			for _, resumed := range []bool{false, true} {
				transport := &http.Transport{TLSClientConfig: config}
				client := &http.Client{Transport: transport}
				response, err := client.Get(server.URL)
				if err != nil {
					t.Fatal(err)
				}
				said, err := io.ReadAll(response.Body)
				response.Body.Close()
				transport.CloseIdleConnections()
				if err != nil {
					t.Fatal(err)
				}
				if got := response.TLS.CipherSuite; got != test.want || string(said) != fmt.Sprint(got) {
					t.Errorf("the client says %s and the server %s, want %s", tls.CipherSuiteName(got), said, tls.CipherSuiteName(test.want))
				}
				if response.TLS.DidResume != resumed {
					t.Errorf("resumed: %v, want %v", response.TLS.DidResume, resumed)
				}
			}
		})
	}
}

// What is configured counts as before, and the configuration that is given stays as it is.
func TestTLSConfigKeepsConfig(t *testing.T) {
	t.Parallel()
	asked := 0
	given := &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		asked++
		if !slices.Contains(hello.CipherSuites, aes) {
			t.Error("the suites of the client are not shown")
		}
		return nil, fmt.Errorf("refused")
	}}
	server := tlsServer(t, bachata.TLSConfig(given), false)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "example.com"})
	if err == nil {
		conn.Close()
		t.Error("the handshake went well, though GetConfigForClient refused it")
	}
	if asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
	if given.Certificates != nil {
		t.Error("the configuration that was given is changed")
	}
	if bachata.TLSConfig(nil).GetConfigForClient == nil {
		t.Error("nothing is made of no configuration")
	}
}
