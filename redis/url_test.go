package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/redis"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cert, key := certificate(t, dir)
	env := func(name string) string {
		return map[string]string{redis.PasswordEnv: "from env", redis.SentinelPasswordEnv: "sentinel env"}[name]
	}
	for text, check := range map[string]func(o redis.Options) bool{
		"redis://localhost":               func(o redis.Options) bool { return o.Addresses[0] == "localhost:6379" && o.Password == "from env" },
		"redis://":                        func(o redis.Options) bool { return o.Addresses[0] == "localhost:6379" && len(o.Addresses) == 1 },
		"redis://:1":                      func(o redis.Options) bool { return o.Addresses[0] == "localhost:1" },
		"valkey://h:1/3":                  func(o redis.Options) bool { return o.Addresses[0] == "h:1" && o.DB == 3 && o.TLS == nil },
		"rediss://h":                      func(o redis.Options) bool { return o.TLS != nil && len(o.TLS.Certificates) == 0 },
		"redis://anna:p%40ss@h":           func(o redis.Options) bool { return o.Username == "anna" && o.Password == "p@ss" },
		"redis://anna:p@s/s+@h":           func(o redis.Options) bool { return o.Addresses[0] == "h:6379" && o.Password == "p@s/s+" },
		"redis://anna@h":                  func(o redis.Options) bool { return o.Username == "anna" && o.Password == "from env" },
		"redis://:secret@h":               func(o redis.Options) bool { return o.Username == "" && o.Password == "secret" },
		"redis://h?password_file=" + file: func(o redis.Options) bool { return o.Password == "from a file" },
		"redis://a:1,b,[::1]:3?cluster=1": func(o redis.Options) bool {
			return slices.Equal(o.Addresses, []string{"a:1", "b:6379", "[::1]:3"}) && o.Cluster
		},
		"redis://a,[::1]":                     func(o redis.Options) bool { return o.Addresses[1] == "[::1]:6379" && o.Cluster },
		"redis://a,b?sentinel=m":              func(o redis.Options) bool { return o.Sentinel == "m" && o.Addresses[1] == "b:26379" && !o.Cluster },
		"redis://a,b?sentinel=m&shared=1":     func(o redis.Options) bool { return o.SentinelPassword == "sentinel env" && o.Shared },
		"redis://h?prefix=chat.&shared=1":     func(o redis.Options) bool { return o.Prefix == "chat." && o.Shared && o.SentinelPassword == "" },
		"redis://h?simple&wait=2&timeout=1s":  func(o redis.Options) bool { return o.Simple && o.Wait == 2 && o.Timeout == time.Second },
		"redis://h?wait_timeout=1s&poll=50ms": func(o redis.Options) bool { return o.WaitTimeout == time.Second && o.PollEvery == 50*time.Millisecond },
		"redis://u:p@s?sentinel=m&sentinel_user=anna&sentinel_password=a%26b+c": func(o redis.Options) bool {
			return o.SentinelUsername == "anna" && o.SentinelPassword == "a&b+c" && o.Username == "u" && o.Password == "p"
		},
		"redis://s?sentinel=m&sentinel_password_file=" + file: func(o redis.Options) bool {
			return o.SentinelPassword == "from a file" && o.Password == "from env"
		},
		"rediss://h?server_name=redis.example&ca=" + cert + "&cert=" + cert + "&key=" + key: func(o redis.Options) bool {
			return o.TLS.ServerName == "redis.example" && o.TLS.RootCAs != nil && len(o.TLS.Certificates) == 1
		},
	} {
		if o, err := redis.ParseURL(text, env); err != nil || !check(o) {
			t.Errorf("ParseURL(%q) = %+v, %v", text, o, err)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, empty := filepath.Join(dir, "password"), filepath.Join(dir, "empty")
	for path, text := range map[string]string{file: "topsecret\n", empty: "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ text, want string }{
		{"", "scheme"},
		{"h:1", "redis://HOST:PORT"},
		{"http://h", `scheme "http"`},
		{"top secret://h", `scheme "***"`},
		{"redis://h/x", "number of a database"},
		{"redis://h/-1", "number of a database"},
		{"redis://anna:12/topsecret", "number of a database"},
		{"redis://h:x", "host 1"},
		{"redis://h:0", "host 1"},
		{"redis://h:99999", "host 1"},
		{"redis://a:1,b:x", "host 2"},
		{"redis://a,,b", "host 2"},
		{"redis://a,", "host 2"},
		{"redis://::1", "host 1"},
		{"redis://[::1", "host 1"},
		{"redis://[h]:1", "host 1"},
		{"redis://a b", "host 1"},
		{"redis://anna:topsecret", "USER:PASSWORD@HOST"},
		{"redis://anna:top:secret:6379", "USER:PASSWORD@HOST"},
		{"redis://anna:topsecret,12", "USER:PASSWORD@HOST"},
		{"redis://anna:topsecret?wait=1", "USER:PASSWORD@HOST"},
		{"redis://anna:topsecret/0", "USER:PASSWORD@HOST"},
		{"redis://anna:12?topsecret", "option 1"},
		{"redis://u:topsecret@h:x", "host 1"},
		{"redis://u:tops%zzecret@h", "%25"},
		{"redis://tops%zzecret@h", "%25"},
		{"redis://u:top?secret@h", "%3F"},
		{"redis://u:topsecret@h/x", "number of a database"},
		{"redis://u:topsecret@h?%zz", "option 1"},
		{"redis://h?nothing=1", "wait_timeout"},
		{"redis://h?password=topsecret", "password_file"},
		{"redis://h?wait=1&topsecret", "option 2"},
		{"redis://h?wait=x", `option wait is "x"`},
		{"redis://h?wait=1&wait=2", "twice"},
		{"redis://h?timeout=-1s", "option timeout"},
		{"redis://h?wait_timeout=10us", "option wait_timeout"},
		{"redis://h?simple=maybe", "option simple"},
		{"redis://h?sentinel=", "option sentinel is empty"},
		{"redis://h?sentinel=m&sentinel_password=tops%zzecret", "option sentinel_password"},
		{"redis://h?sentinel=m&sentinel_password=topsecret&sentinel_password_file=" + file, "once"},
		{"redis://h?sentinel_password=topsecret", "sentinel=NAME"},
		{"redis://h?sentinel_user=anna", "sentinel=NAME"},
		{"redis://h?password_file=/nowhere", "/nowhere"},
		{"redis://h?password_file=" + empty, "is empty"},
		{"redis://:topsecret@h?password_file=" + file, "once"},
		{"redis://h?ca=" + file, "rediss://"},
		{"redis://h?cert=" + file, "rediss://"},
		{"rediss://h?ca=" + file, "no certificate"},
		{"rediss://h?cert=" + file, "cert and key"},
		{"rediss://h?key=" + file, "cert=FILE"},
		{"redis://h?prefix={x}", "braces"},
		{"redis://h/1?cluster=1", "database 0"},
		{"redis://a,b/1", "database 0"},
		{"redis://u:topsecret@a,b?shared=1", "one host"},
		{"redis://u:topsecret@h?cluster=1&shared=1", "Shared"},
		{"redis://h?cluster=1&sentinel=m", "Sentinel"},
	} {
		o, err := redis.ParseURL(tt.text, nil)
		if err == nil {
			t.Errorf("ParseURL(%q) = %+v, want an error", tt.text, o)
		} else if !strings.Contains(err.Error(), tt.want) || strings.Contains(strings.ReplaceAll(err.Error(), "%25", ""), "secret") {
			t.Errorf("ParseURL(%q): %v, want an error with %q and without the password", tt.text, err, tt.want)
		}
		if seen := redis.RedactURL(tt.text); strings.Contains(seen, "ecret") {
			t.Errorf("RedactURL(%q) = %q, which shows the password", tt.text, seen)
		}
	}
}

func TestRedactURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"redis://h:1/2":                                    "redis://h:1/2",
		"valkeys://a:1,[::1]:2?wait=1&ca=/x.pem":           "valkeys://a:1,[::1]:2?wait=1&ca=/x.pem",
		"redis://anna:topsecret@h/2?wait=1":                "redis://***@h/2?wait=1",
		"redis://topsecret@h":                              "redis://***@h",
		"redi://u:topsecret@h":                             "redi://***@h",
		"u:topsecret@h":                                    "***@h",
		"localhost:6379":                                   "localhost:6379",
		"u:topsecret":                                      "***",
		"redis://anna:topsecret":                           "redis://***",
		"redis://u:top@secret/x":                           "redis://***@secret/***", // a host, for all that can be known
		"redis://h?password=topsecret&wait=1":              "redis://h?***&wait=1",
		"redis://h?sentinel=m&sentinel_password=topsecret": "redis://h?sentinel=m&sentinel_password=***",
	} {
		if got := redis.RedactURL(text); got != want {
			t.Errorf("RedactURL(%q) = %q, want %q", text, got, want)
		}
	}
}

// FuzzParseURL puts a secret where a password stands, between whatever else: no error shows it, nor does what RedactURL
// leaves; and if the URL can be used, the secret is in the password and nowhere else.
func FuzzParseURL(f *testing.F) {
	const secret = "hunter2horse"
	f.Add("", "", "h:1/2?wait=1")
	f.Add("a@b/", "?x", "a,b?cluster=1")
	f.Add("%zz", "%40", "h?wait=x&poll=no")
	f.Add("://", "@", "h?sentinel=m&sentinel_password=a@b")
	f.Add("1?ca=", "&wait=1", "[::1")
	f.Fuzz(func(t *testing.T, before, after, rest string) {
		for _, scheme := range []string{"redis", "valkeys", "redi"} {
			for _, text := range []string{
				scheme + "://anna:" + before + secret + after + "@" + rest,
				scheme + "://h?sentinel=m&sentinel_password=" + url.QueryEscape(before) + secret + url.QueryEscape(after),
				scheme + "://" + rest + "?" + secret + after,
			} {
				if strings.Contains(rest+after, "=") && strings.HasPrefix(text, scheme+"://"+rest+"?") {
					continue // perhaps the value of an option that is shown
				}
				if seen := redis.RedactURL(text); strings.Contains(seen, secret) {
					t.Errorf("RedactURL(%q) = %q", text, seen)
				}
				o, err := redis.ParseURL(text, nil)
				switch {
				case err != nil && strings.Contains(err.Error(), secret):
					t.Errorf("ParseURL(%q): %v", text, err)
				case err == nil && !strings.Contains(o.Username+o.Password+o.SentinelPassword, secret):
					t.Errorf("ParseURL(%q) = %+v, which has no password", text, o)
				}
				o.Username, o.Password, o.SentinelPassword = "", "", ""
				if strings.Contains(fmt.Sprintf("%+v", o), secret) {
					t.Errorf("ParseURL(%q) = %+v", text, o)
				}
			}
		}
	})
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
	other, otherKey := certificate(t, t.TempDir())
	s := redistest.Start(t, "--requirepass", "topsecret", "--tls-port", fmt.Sprint(redistest.FreePort(t)), "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", cert)
	at := "127.0.0.1:" + s.Arg("--tls-port")
	shown := "&cert=" + cert + "&key=" + key
	ctx := context.Background()
	open := func(text string) (*redis.Queue, error) {
		o, err := redis.ParseURL(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		o.Timeout = 2 * time.Second
		return redis.Open(ctx, o)
	}
	q, err := open("rediss://:topsecret@" + at + "/2?prefix=x.&ca=" + cert + shown)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if _, err := q.Put(ctx, []bachata.Item{message("bob", 0)}); err != nil {
		t.Fatal(err)
	}
	want(t, q, "bob", "0")
	for name, text := range map[string]string{
		"wrong password":                    "rediss://:wrong@" + at + "?ca=" + cert + shown,
		"no password":                       "rediss://" + at + "?ca=" + cert + shown,
		"a server that nobody vouches":      "rediss://:topsecret@" + at + "?" + shown[1:],
		"a server of another name":          "rediss://:topsecret@" + at + "?server_name=redis.example&ca=" + cert + shown,
		"no certificate of ours":            "rediss://:topsecret@" + at + "?ca=" + cert,
		"a certificate that it can't trust": "rediss://:topsecret@" + at + "?ca=" + cert + "&cert=" + other + "&key=" + otherKey,
	} {
		if q, err := open(text); err == nil || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: Open: %v, want an error without the password", name, err)
			if err == nil {
				q.Close()
			}
		}
	}
}

// The nodes of a cluster have TLS too, also among themselves: subscriptions, and what goes from one part to another.
func TestClusterTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t, t.TempDir())
	var nodes []*redistest.Server
	for i := range 2 {
		bus := strconv.Itoa(redistest.FreePort(t))
		s := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", bus,
			"--tls-cluster", "yes", "--tls-port", strconv.Itoa(redistest.FreePort(t)), "--tls-cert-file", cert, "--tls-key-file", key,
			"--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
		nodes = append(nodes, s)
		s.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		s.Do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*8192), strconv.Itoa(i*8192+8191))
		if i > 0 {
			nodes[0].Do("CLUSTER", "MEET", "127.0.0.1", s.Arg("--tls-port"), bus)
		}
	}
	for _, s := range nodes {
		redistest.Eventually(t, "form the cluster", func() error {
			if info := s.Do("CLUSTER", "INFO"); !strings.Contains(info, "cluster_state:ok") {
				return errors.New(info)
			}
			return nil
		})
	}
	o, err := redis.ParseURL("rediss://127.0.0.1:"+nodes[0].Arg("--tls-port")+"?cluster=1&ca="+cert, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, b := two(t, o)
	roundTrip(t, a, b, false)
}

// A server that does not know a command repeats what it was told, and so the password.
func TestOpenHidesThePassword(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--rename-command", "AUTH", "NOTAUTH"},
		{"--rename-command", "HELLO", "NOTHELLO", "--rename-command", "AUTH", "NOTAUTH"},
		{"--rename-command", "HELLO", "NOTHELLO"},
	} {
		s := redistest.Start(t, args...)
		for _, login := range []string{":hunter2horse", "anna:hunter2horse"} {
			o, err := redis.ParseURL("redis://"+login+"@"+s.Addr(), nil)
			if err != nil {
				t.Fatal(err)
			}
			q, err := redis.Open(context.Background(), o)
			if err == nil {
				q.Close()
			} else if strings.Contains(err.Error(), "hunter2horse") {
				t.Errorf("Open with %q: %v", args, err)
			}
		}
	}
}

// The same when such a server takes the place of the one that was there at the start.
func TestFailuresHideThePassword(t *testing.T) {
	t.Parallel()
	proxy := redistest.NewProxy(t, redistest.Start(t, "--requirepass", "hunter2horse").Addr())
	o, err := redis.ParseURL("redis://:hunter2horse@"+proxy.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	q := openQueue(t, o)
	other := redistest.Start(t, "--rename-command", "HELLO", "NOTHELLO", "--rename-command", "AUTH", "NOTAUTH")
	proxy.Lead(other.Addr())
	proxy.Cut()
	redistest.Eventually(t, "be refused by the other server", func() error {
		err := errors.Join(putter(q)(0), q.Ping(context.Background()))
		if err == nil || !strings.Contains(err.Error(), "unknown command") {
			return fmt.Errorf("put: %w", err)
		}
		if strings.Contains(err.Error(), "hunter2horse") {
			t.Errorf("the error shows the password: %v", err)
		}
		return nil
	})
}

// startTLSSentinel runs a sentinel with TLS that watches the server at primary, with a user who may do what docs/redis.md
// says and no more.
func startTLSSentinel(t *testing.T, primary int, tlsConf string) (tlsPort int) {
	t.Helper()
	dir, port := t.TempDir(), redistest.FreePort(t)
	tlsPort = redistest.FreePort(t)
	file := filepath.Join(dir, "sentinel.conf")
	conf := fmt.Sprintf("port %d\ntls-port %d\n%sbind 127.0.0.1\ndir %s\nsentinel monitor main 127.0.0.1 %d 1\n"+
		"sentinel auth-user main chat\nsentinel auth-pass main topsecret\nrequirepass another\nuser watch on >sentinelsecret &* +ping +sentinel|sentinels +sentinel|get-master-addr-by-name +subscribe +unsubscribe\n",
		port, tlsPort, tlsConf, dir, primary)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(redistest.Binary(t, "sentinel"), file, "--logfile", filepath.Join(dir, "log"))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	redistest.Eventually(t, "start a sentinel", func() error {
		if _, err := redistest.Command(fmt.Sprint("127.0.0.1:", port), "PING"); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
			return fmt.Errorf("PING without a password: %w", err)
		}
		return nil
	})
	return tlsPort
}

// Sentinel and server have TLS, and each has a user and a password.
func TestSentinelWithPasswordAndTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := certificate(t, dir)
	port := redistest.FreePort(t)
	s := redistest.Start(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert,
		"--tls-auth-clients", "no")
	s.Do("ACL", "SETUSER", "chat", "on", ">topsecret", "~*", "&*", "+@all")
	s.Do("ACL", "SETUSER", "default", "off")
	sentinelPort := startTLSSentinel(t, port, fmt.Sprintf("tls-cert-file %s\ntls-key-file %s\ntls-ca-cert-file %s\ntls-auth-clients no\n"+
		"tls-replication yes\n", cert, key, cert))
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte("sentinelsecret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("rediss://chat:topsecret@127.0.0.1:%d?sentinel=main&timeout=2s&ca=%s", sentinelPort, cert)
	open := func(text string) (*redis.Queue, error) {
		o, err := redis.ParseURL(text, func(name string) string {
			return map[string]string{redis.SentinelPasswordEnv: "sentinelsecret"}[name]
		})
		if err != nil {
			t.Fatal(err)
		}
		return redis.Open(context.Background(), o)
	}
	for i, given := range []string{"&sentinel_user=watch&sentinel_password=sentinelsecret", "&sentinel_user=watch&sentinel_password_file=" + file, "&sentinel_user=watch"} {
		q, err := open(at + given)
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		if _, err := q.Put(context.Background(), []bachata.Item{message("bob", i)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, given := range []string{"", "&sentinel_user=watch&sentinel_password=wrong"} {
		if q, err := open(at + given); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open of a sentinel with %q: %v, want an error without the password", given, err)
			if err == nil {
				q.Close()
			}
		}
	}
}

// A server that is asked to wait for 0 ms waits for ever.
func TestShortTimes(t *testing.T) {
	t.Parallel()
	for _, o := range []redis.Options{{PollEvery: -1}, {WaitTimeout: time.Microsecond}, {Timeout: time.Millisecond - 1}} {
		o.Addresses = []string{"127.0.0.1:1"}
		if _, err := redis.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "at least 1ms") {
			t.Errorf("Open(%+v): %v", o, err)
		}
	}
}
