package bachata_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
)

const (
	aes    = tls.TLS_AES_128_GCM_SHA256
	chacha = tls.TLS_CHACHA20_POLY1305_SHA256

	oldAES    = tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
	oldChaCha = tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256

	curveAES    = tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
	curveChaCha = tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
)

// curveCertificate is one whose key is no RSA key.
func curveCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// dialTLS returns the state of a connection, which it closes.
func dialTLS(server *httptest.Server, config *tls.Config) (tls.ConnectionState, error) {
	config = config.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	config.RootCAs = x509.NewCertPool()
	config.RootCAs.AddCert(server.Certificate())
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.ConnectionState(), nil
}

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
	usual, err := dialTLS(tlsServer(t, nil, true), nil) // AES, unless there is no hardware for it
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		server *tls.Config
		client *tls.Config
		plain  bool // another listener accepts
		want   uint16
	}{
		{name: "TLS 1.3", want: chacha},
		{name: "a short first message", client: &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}, want: chacha},
		{name: "TLS 1.3 alone", client: &tls.Config{MinVersion: tls.VersionTLS13}, want: chacha},
		{name: "TLS 1.2", client: &tls.Config{MaxVersion: tls.VersionTLS12}, want: oldChaCha},
		{
			name:   "a client without",
			client: &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{oldAES}},
			want:   oldAES,
		},
		{
			name:   "a server without",
			server: &tls.Config{CipherSuites: []uint16{oldAES}},
			client: &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{oldAES, oldChaCha}},
			want:   oldAES,
		},
		{
			name:   "TLS 1.2 with RSA",
			client: &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{oldAES, oldChaCha}},
			want:   oldChaCha,
		},
		{
			name:   "TLS 1.2 with ECDSA",
			server: &tls.Config{Certificates: []tls.Certificate{curveCertificate(t)}},
			client: &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{curveAES, curveChaCha}},
			want:   curveChaCha,
		},
		{
			name:   "a second first message",
			server: &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP384}},
			client: &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP384}},
			want:   chacha,
		},
		{name: "another listener", plain: true, want: usual.CipherSuite},
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
	if _, err := dialTLS(tlsServer(t, bachata.TLSConfig(given), false), nil); err == nil {
		t.Error("the handshake went well, though GetConfigForClient refused it")
	}
	if asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
	if empty := new(tls.Config); bachata.TLSConfig(empty) == empty || empty.GetConfigForClient != nil {
		t.Error("the configuration that was given is changed")
	}
	if bachata.TLSConfig(nil).GetConfigForClient == nil {
		t.Error("nothing is made of no configuration")
	}
}

// GetConfigForClient is shown the client's suites in the client's order, may keep them, and chooses the configuration; also if
// TLSConfig was asked twice.
func TestTLSConfigAsksForConfig(t *testing.T) {
	t.Parallel()
	chosen := &tls.Config{Certificates: []tls.Certificate{curveCertificate(t)}, NextProtos: []string{"chosen"}}
	shown := make(chan []uint16, 1)
	given := &tls.Config{
		Certificates: chosen.Certificates,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			shown <- hello.CipherSuites
			return chosen, nil
		},
	}
	var order []uint16
	for i, config := range []*tls.Config{given, bachata.TLSConfig(given), bachata.TLSConfig(bachata.TLSConfig(given))} {
		state, err := dialTLS(tlsServer(t, config, false), &tls.Config{NextProtos: []string{"other", "chosen"}})
		if err != nil {
			t.Fatal(err)
		}
		suites := <-shown
		if i == 0 {
			order = suites
			continue
		}
		if !slices.Equal(suites, order) {
			t.Errorf("asked for %d times: shown %x, want %x", i, suites, order)
		}
		if state.CipherSuite != chacha || state.NegotiatedProtocol != "chosen" {
			t.Errorf("asked for %d times: %s and %q, want %s and what was chosen",
				i, tls.CipherSuiteName(state.CipherSuite), state.NegotiatedProtocol, tls.CipherSuiteName(chacha))
		}
	}
}
