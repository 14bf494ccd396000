package redis_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/redis"
)

// rights returns the ACL SETUSER commands of docs/redis.md, without that name.
func rights(t *testing.T) [][]string {
	t.Helper()
	page, err := os.ReadFile("../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for line := range strings.Lines(string(page)) {
		if words := strings.Fields(line); len(words) > 2 && words[0] == "ACL" && words[1] == "SETUSER" {
			all = append(all, words)
		}
	}
	if len(all) < 2 {
		t.Fatalf("docs/redis.md has the ACL commands %q", all)
	}
	return all
}

// grant makes a user with exactly the rights that docs/redis.md names.
func grant(t *testing.T, s *redistest.Server) {
	t.Helper()
	for _, command := range rights(t) {
		_, err := s.Try(command...)
		newer := command[3] == "+waitaof" || command[3] == "+client|setinfo" // than the oldest server
		if err != nil && !(newer && strings.Contains(err.Error(), "Unknown command")) {
			t.Fatalf("%s: %v", strings.Join(command, " "), err)
		}
	}
}

// Whatever of these rights is missing, Open says so: a script that is refused a command has done half of its work.
func TestRightsMissing(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for _, shared := range []bool{false, true} {
		for _, missing := range []string{
			"-del", "-hsetnx", "-linsert", "-mget", "-pexpire", "-role", "-rpop", "-setrange", "-spublish", "-ssubscribe", "-eval",
			"resetchannels", "resetkeys",
		} {
			grant(t, s)
			s.Do("ACL", "SETUSER", "bachata", missing, ">PASSWORD")
			o := options(s.Addr())
			o.Username, o.Password, o.Prefix, o.Shared = "bachata", "PASSWORD", "chat.", shared
			q, err := redis.Open(context.Background(), o)
			if err == nil {
				q.Close()
			}
			if needed := shared || missing != "-linsert"; needed != (err != nil) {
				t.Errorf("Open with %q, shared %v: %v", missing, shared, err)
			} else if needed && !strings.Contains(err.Error(), "NOPERM") {
				t.Errorf("Open with %q: %v, want it to say NOPERM", missing, err)
			}
		}
	}
}

// A user with the rights that docs/redis.md names, and no others, is refused nothing: whatever is set up, and whatever
// this package does.
func TestRights(t *testing.T) {
	t.Parallel()
	single := redistest.Start(t, "--appendonly", "yes")
	replica := redistest.StartReplica(t, single, "--appendonly", "yes")
	shared := redistest.Start(t)
	cluster := redistest.StartCluster(t, 3)
	servers := append([]*redistest.Server{single, replica, shared}, cluster.Nodes...)
	for _, s := range servers {
		grant(t, s)
	}
	for _, tt := range []struct {
		name    string
		servers []*redistest.Server
		change  func(o *redis.Options)
	}{
		{"single", servers[:1], func(*redis.Options) {}},
		{"database 1", servers[:1], func(o *redis.Options) { o.DB = 1 }},
		{"wait for a replica", servers[:1], func(o *redis.Options) { o.Wait = 1 }},
		{"simple", servers[:1], func(o *redis.Options) { o.Simple = true }},
		{"shared", servers[2:3], func(o *redis.Options) { o.Shared, o.PollEvery = true, 20*time.Millisecond }},
		{"cluster", cluster.Nodes, func(o *redis.Options) { o.Cluster = true }},
		{"simple on a cluster", cluster.Nodes, func(o *redis.Options) { o.Cluster, o.Simple = true, true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options()
			for _, s := range tt.servers {
				o.Addresses = append(o.Addresses, s.Addr())
			}
			o.Username, o.Password, o.Prefix, o.SweepEvery = "bachata", "PASSWORD", "chat."+tt.name+".", 100*time.Millisecond
			o.InboxAge = time.Minute
			tt.change(&o)
			a, b := two(t, o)
			for _, s := range tt.servers {
				s.Do("SCRIPT", "FLUSH")
			}
			roundTrip(t, a, b, o.Simple)
			if level := a.Info().Level; strings.Contains(level, "does not tell") {
				t.Errorf("Info().Level = %q, want what the server says", level)
			}
		})
	}
	for _, s := range servers {
		if log := s.Do("ACL", "LOG"); log != "" {
			t.Errorf("the user was refused something that it needs:\n%s", log)
		}
	}
}

// roundTrip takes a message from one node to a watcher on the other, to several channels, and its receipt back.
func roundTrip(t *testing.T, a, b *redis.Queue, simple bool) {
	t.Helper()
	ctx := context.Background()
	woken, stop, err := watch(b, "bob")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	items := messages("bob", 3)
	items[2].Channels = []string{"bob", "carl", "dora"}
	for _, part := range [][]bachata.Item{items[:1], items[1:], items} { // the last are known
		if _, err := a.Put(ctx, part); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-woken:
	case <-time.After(20 * time.Second):
		t.Fatal("bob was not woken")
	}
	if simple {
		want(t, b, "bob", "", "", "", "", "", "")
		return
	}
	var keys []bachata.Key
	for _, e := range want(t, b, "bob", "0", "1", "2") {
		keys = append(keys, bachata.Key{Cursor: e.Cursor})
	}
	if _, err := b.PopDelivered(ctx, "bob", "bob", keys[:1]); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PopDelivered(ctx, "bob", "bob", keys[1:]); err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, "get the receipts", func() error {
		got, err := a.Fetch(ctx, "of-bob", 0, bachata.Limit{})
		if err == nil && len(got) != 3 {
			err = fmt.Errorf("of-bob has %d receipts, want 3", len(got))
		}
		return err
	})
	if gone, err := b.CheckDelivered(ctx, "bob", bachata.Key{ID: "0"}); err != nil || !gone {
		t.Errorf("CheckDelivered = %v, %v, want true", gone, err)
	}
	if err := a.Ping(ctx); err != nil {
		t.Error(err)
	}
}

// compose.yaml's servers let a node do what docs/redis.md says.
func TestRightsOfComposeFile(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../deploy/redis/start.sh")
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]bool{}
	for _, word := range strings.FieldsFunc(string(script), func(r rune) bool { return strings.ContainsRune(" \n\"'=", r) }) {
		if strings.HasPrefix(word, "+") {
			given[word] = true
		}
	}
	for _, command := range rights(t) {
		for _, word := range command[3:] {
			if strings.HasPrefix(word, "+") && !given[word] {
				t.Errorf("deploy/redis/start.sh does not give %s, which docs/redis.md names", word)
			}
			delete(given, word)
		}
	}
	if len(given) > 0 {
		t.Errorf("deploy/redis/start.sh gives %v, which docs/redis.md does not name", given)
	}
}
