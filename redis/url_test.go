package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/redis"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(name string) string { return map[string]string{redis.PasswordEnv: "from env"}[name] }
	for text, check := range map[string]func(o redis.Options) bool{
		"redis://localhost":               func(o redis.Options) bool { return o.Addresses[0] == "localhost:6379" && o.Password == "from env" },
		"valkey://h:1/3":                  func(o redis.Options) bool { return o.Addresses[0] == "h:1" && o.DB == 3 && o.TLS == nil },
		"rediss://h":                      func(o redis.Options) bool { return o.TLS != nil },
		"redis://anna:p%40ss@h":           func(o redis.Options) bool { return o.Username == "anna" && o.Password == "p@ss" },
		"redis://:secret@h":               func(o redis.Options) bool { return o.Username == "" && o.Password == "secret" },
		"redis://h?password_file=" + file: func(o redis.Options) bool { return o.Password == "from a file" },
		"redis://a:1,b,[::1]:3?cluster=1": func(o redis.Options) bool {
			return slices.Equal(o.Addresses, []string{"a:1", "b:6379", "[::1]:3"}) && o.Cluster
		},
		"redis://a,b?sentinel=m":              func(o redis.Options) bool { return o.Sentinel == "m" && o.Addresses[1] == "b:26379" },
		"redis://h?prefix=chat.&shared=1":     func(o redis.Options) bool { return o.Prefix == "chat." && o.Shared },
		"redis://h?simple&wait=2&timeout=1s":  func(o redis.Options) bool { return o.Simple && o.Wait == 2 && o.Timeout == time.Second },
		"redis://h?wait_timeout=1s&poll=50ms": func(o redis.Options) bool { return o.WaitTimeout == time.Second && o.PollEvery == 50*time.Millisecond },
	} {
		if o, err := redis.ParseURL(text, env); err != nil || !check(o) {
			t.Errorf("ParseURL(%q) = %+v, %v", text, o, err)
		}
	}
	for _, text := range []string{
		"", "h:1", "http://h", "redis://h/x", "redis://h/-1", "redis://h:x", "redis://h:99999", "redis://h?nothing=1", "redis://h?wait=x",
		"redis://h?timeout=-1s", "redis://h?simple=maybe", "redis://u:tops%zzecret@h", "redis://u:topsecret@h:x", "redis://u:topsecret@h?cluster=1&shared=1",
		"redis://u:topsecret@h?%zz", "redis://h?password_file=/nowhere", "redis://h?ca=" + file, "rediss://h?ca=" + file, "redis://h?prefix={x}",
		"redis://a,,b", "redis://h/1?cluster=1", "redis://u:topsecret@h/x",
	} {
		o, err := redis.ParseURL(text, nil)
		if err == nil {
			t.Errorf("ParseURL(%q) = %+v, want an error", text, o)
		} else if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "ecret") {
			t.Errorf("ParseURL(%q) shows the password: %v", text, err)
		}
	}
}

// certificate writes a certificate for 127.0.0.1 and its key.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestTLSAndPassword(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t, t.TempDir())
	s := redistest.Start(t, "--requirepass", "topsecret", "--tls-port", fmt.Sprint(redistest.FreePort(t)), "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-auth-clients", "no")
	port := s.Arg("--tls-port")
	ctx := context.Background()
	open := func(text string) (*redis.Queue, error) {
		o, err := redis.ParseURL(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		return redis.Open(ctx, o)
	}
	q, err := open("rediss://:topsecret@127.0.0.1:" + port + "/2?prefix=x.&ca=" + cert)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if _, err := q.Put(ctx, []bachata.Item{message("bob", 0)}); err != nil {
		t.Fatal(err)
	}
	want(t, q, "bob", "0")
	for _, text := range []string{
		"rediss://:wrong@127.0.0.1:" + port + "?ca=" + cert, // the password
		"rediss://127.0.0.1:" + port + "?ca=" + cert,        // none
		"rediss://:topsecret@127.0.0.1:" + port,             // a certificate that nobody signed
	} {
		if _, err := open(text); err == nil || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("Open of %s: %v, want an error without the password", text, err)
		}
	}
}
