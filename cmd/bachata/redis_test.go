//go:build unix

package main_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bachata-go/bachata/internal/redistest"
)

const redisPassword = "correct-horse-battery"

func TestRedisNodesShareAServer(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(redisPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := redistest.Start(t, "--requirepass", redisPassword, "--appendonly", "yes", "--appendfsync", "always")
	one := startServer(t, "--queue", "redis://:"+redisPassword+"@"+r.Addr()+"/1?prefix=chat.", "--log", "debug")
	two := startServer(t, "--queue", "redis://"+r.Addr()+"/1?prefix=chat.", "--redis-password-file", file, "--log", "debug")
	wants(t, one.output(), "redis://***@"+r.Addr()+"/1?prefix=chat. (reliable)", "100 means: Redis, appendfsync always: survives kill -9")
	wants(t, two.output(), "redis://"+r.Addr()+"/1?prefix=chat. (reliable)")

	anna, bob := dial(t, one, "?channel=anna", nil), dial(t, two, "?channel=bob", nil)
	anna.waitsFor(1000)
	bob.waitsFor(1000)
	anna.send(`{"id":"m1","type":"direct","dest":"bob","data":"hi"}`)
	anna.waitsFor(100)
	for text := ""; !strings.Contains(text, `"m1"`); {
		text, _ = bob.next()
	}
	bob.send(`{"type":200,"data":"m1"}`)
	if receipt := anna.waitsFor(300); receipt["from"] != "bob" {
		t.Errorf("anna got %v, want the receipt of bob", receipt)
	}
	anna.send(`{"type":"typing","dest":"bob","ephemeral":true}`)
	if text, _ := bob.next(); !strings.Contains(text, `"typing"`) || !strings.Contains(text, `"from":"anna"`) {
		t.Errorf("bob got %s, want what anna is doing", text)
	}
	for _, s := range []*server{one, two} {
		if strings.Contains(s.output(), redisPassword) {
			t.Errorf("the password is in what was written:\n%s", s.output())
		}
	}
}

// A node of the original, whose commands are played by hand, serves anna on the same server.
func TestRedisBesideTheOriginal(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	s := startServer(t, "--queue", "redis://"+r.Addr()+"?shared=1")
	bob := dial(t, s, "?channel=bob", nil)
	bob.waitsFor(1000)

	r.Do("LPUSH", "bob", "!") // another socket of his, on their node, has gone
	text := `{"id":"m1","type":"direct","dest":"bob","data":"hi","from":"anna"}`
	r.Do("RPUSH", "bob:m1", text, "anna")
	r.Do("LPUSH", "bob", "bob:m1")
	if got, _ := bob.next(); got != text {
		t.Errorf("bob got %s, want what the original has put for him, %s", got, text)
	}
	bob.send(`{"type":200,"data":"m1"}`)
	if got := r.Do("BRPOPLPUSH", "anna", "anna:wait", "20"); !strings.HasPrefix(got, `{"type":300,"data":"m1","from":"bob"`) {
		t.Errorf("the original would write %q to anna, want the receipt", got)
	}
	r.Do("LPOP", "anna:wait")

	bob.send(`{"id":"m2","type":"direct","dest":"anna","data":"hello"}`)
	bob.waitsFor(100)
	key := r.Do("BRPOPLPUSH", "anna", "anna:wait", "20")
	if got := r.Do("LINDEX", key, "0"); key != "anna:m2" || !strings.Contains(got, `"hello"`) {
		t.Errorf("the original would read %q of %q for anna, want what bob has sent", got, key)
	}
	r.Do("LPOP", key) // her confirmation: pop_delivered, and the receipt
	if from := r.Do("LPOP", key); from != "bob" {
		t.Errorf("the original would tell %q that it was delivered, want bob", from)
	}
	r.Do("LREM", "anna:wait", "1", key)
	r.Do("LPUSH", "bob", `{"type": 300, "data": "m2"}`)
	if receipt := bob.waitsFor(300); receipt["data"] != "m2" {
		t.Errorf("bob got %v, want the receipt of m2", receipt)
	}
}

func TestRedisStartUpSaysWhatAcceptedMeans(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	wants(t, startServer(t, "--queue", "redis://"+r.Addr(), "--simple").output(), "(simple)", "100 means: Redis in memory: lost when the server ends")
	c := redistest.StartCluster(t, 3, "--appendonly", "yes")
	wants(t, startServer(t, "--queue", "redis://"+strings.Join(c.Addrs(), ",")).output(), "(reliable)", "appendfsync everysec")
}

func TestRedisHealth(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	c := redistest.StartCluster(t, 3, "--appendonly", "yes")
	single := startServer(t, "--queue", "redis://"+r.Addr(), "--log", "error")
	cluster := startServer(t, "--queue", "redis://"+strings.Join(c.Addrs(), ","), "--log", "error")
	anna := dial(t, single, "?channel=anna", nil)
	anna.waitsFor(1000)
	turns := func(s *server, status int) {
		t.Helper()
		redistest.Eventually(t, fmt.Sprint("health turns to ", status), func() error {
			if got, body := get(t, s.url+"healthz", ""); got != status {
				return fmt.Errorf("health is %d %s", got, body)
			}
			return nil
		})
	}
	turns(single, 200)
	turns(cluster, 200)
	r.Kill()
	c.Nodes[2].Kill() // whichever channel the check uses, it is missed
	turns(single, 503)
	turns(cluster, 503)
	anna.send(`{"id":"m1","type":"direct","dest":"anna","data":"hi"}`)
	if refusal := anna.waitsFor(400); refusal["code"] != "unavailable" || refusal["reason"] == "" {
		t.Errorf("while the server is away anna got %v, want 400 unavailable with a reason", refusal)
	}
	r.Restart()
	c.Nodes[2].Restart()
	turns(single, 200)
	turns(cluster, 200)
	anna.send(`{"id":"m1","type":"direct","dest":"anna","data":"hi"}`)
	anna.waitsFor(100)
}

func TestPageSaysThatNothingIsStored(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	s := startServer(t, "--queue", "redis://"+r.Addr(), "--log", "off")
	anna := newPerson(t, "anna")
	anna.signIn(s.url)
	anna.talksTo("bob")
	r.Kill()
	anna.says("one")
	anna.waits("being told", `return document.querySelector("#toasts").textContent.includes("can't store messages")`)
	anna.seesState("one", "queued")
	r.Restart()
	anna.seesState("one", "accepted")
	anna.hasNoProblems()
}

func TestRedisErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	open := redistest.Start(t)
	closed := redistest.Start(t, "--requirepass", redisPassword)
	cluster := redistest.StartCluster(t, 3)
	sentinel := redistest.StartSentinel(t)
	other := startServer(t, "--queue", "memory:")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := listener.Addr().String()
	listener.Close()
	for _, tt := range []struct {
		name, url string
		env       []string
		code      int
		want      []string
	}{
		{"nobody there", "redis://" + nobody, nil, 1, []string{"start it", nobody}},
		{"no such host", "redis://nowhere.invalid", nil, 1, []string{"can be reached", "nowhere.invalid"}},
		{"wrong password", "redis://:wrong-horse@" + closed.Addr(), nil, 1, []string{"refuses this user or password", "***@"}},
		{"wrong password by a variable", "redis://" + closed.Addr(), []string{"BACHATA_REDIS_PASSWORD=wrong-horse"}, 1, []string{"refuses this user or password"}},
		{"wrong user", "redis://anna:" + redisPassword + "@" + closed.Addr(), nil, 1, []string{"refuses this user or password"}},
		{"no password", "redis://" + closed.Addr(), nil, 1, []string{"wants a password", "BACHATA_REDIS_PASSWORD"}},
		{"no password for Sentinels", "redis://" + closed.Addr() + "?sentinel=chat", nil, 1, []string{"BACHATA_REDIS_SENTINEL_PASSWORD"}},
		{"no Redis", "redis://" + other.address, nil, 1, []string{"no Redis", "port"}},
		{"no cluster", "redis://" + open.Addr() + "?cluster=1", nil, 1, []string{"no cluster", "one host"}},
		{"no cluster, two hosts", "redis://" + open.Addr() + "," + open.Addr(), nil, 1, []string{"no cluster", "one host"}},
		{"database of a cluster", "redis://" + cluster.Nodes[0].Addr() + "/1", nil, 1, []string{"database 0"}},
		{"no such database", "redis://" + open.Addr() + "/5000", nil, 1, []string{"no such database"}},
		{"TLS with one that has none", "rediss://" + open.Addr(), nil, 1, []string{"TLS", "redis://"}},
		{"no such master", "redis://" + sentinel.Sentinels[0].Addr() + "?sentinel=nothing", nil, 1, []string{`"nothing"`}},
		{"a Sentinel as the server", "redis://" + sentinel.Sentinels[0].Addr(), nil, 1, []string{"is a Sentinel", "sentinel=NAME"}},
		{"Sentinels as a cluster", "redis://" + sentinel.Sentinels[0].Addr() + "," + sentinel.Sentinels[0].Addr(), nil, 1, []string{"is a Sentinel", "sentinel=NAME"}},
		{"a server as the Sentinel", "redis://" + open.Addr() + "?sentinel=chat", nil, 1, []string{"is no Sentinel", "sentinel=NAME"}},
		{"less than no replicas", "redis://" + open.Addr() + "?wait=-1", nil, 2, []string{"wait"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			code, output := runs(t, tt.env, "serve", "--listen", "127.0.0.1:0", "--queue", tt.url)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			wants(t, output, append(tt.want, "--queue")...)
			if strings.Contains(output, "horse") {
				t.Errorf("the password is in the output:\n%s", output)
			}
			t.Logf("after %v: %s", time.Since(began).Round(time.Millisecond), output)
		})
	}
}
