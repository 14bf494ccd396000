package redis_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
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

func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	durable := []string{"--appendonly", "yes", "--appendfsync", "always"}
	r := redistest.StartSentinel(t, durable...)
	o := options(r.Addrs()...)
	o.Sentinel = redistest.MasterSet
	o.Wait = 1 // else a failover may lose what it had not replicated
	o.WaitTimeout = time.Second
	a, b := two(t, o)
	l := startLoad(t, a, b)
	l.grows(100)
	// The replica takes over. With Wait nothing is accepted until another one follows it.
	r.Primary.Kill()
	redistest.Eventually(t, "fail over", func() error {
		if role, err := r.Replica.Try("ROLE"); err != nil || !strings.HasPrefix(role, "master") {
			return fmt.Errorf("the replica is %s, %w", role, err)
		}
		return nil
	})
	redistest.StartReplica(t, r.Replica, durable...)
	l.grows(100)
	l.finish()
}

// putter returns a function that puts a message for bob.
func putter(q *redis.Queue) func(id int) error {
	return func(id int) error {
		_, err := q.Put(context.Background(), []bachata.Item{message("bob", id)})
		return err
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	replica := redistest.StartReplica(t, primary)
	o := options(primary.Addr())
	o.Wait, o.WaitTimeout = 1, 300*time.Millisecond
	q := openQueue(t, o)
	ctx := context.Background()
	put := putter(q)
	redistest.Eventually(t, "accept what the replica has", func() error { return put(0) })
	if !strings.HasSuffix(q.Info().Level, "; accepted when 1 of 1 replica has it too") {
		t.Errorf("Info().Level = %q, want it to name the replica that has it", q.Info().Level)
	}
	o.Wait = 2
	more := openQueue(t, o)
	if !strings.HasSuffix(more.Info().Level, "; nothing is accepted now: 2 replicas must have it too, the server has 1 replica") {
		t.Errorf("Info().Level = %q, want it to say that a replica is missing", more.Info().Level)
	}
	if _, err := more.Put(ctx, []bachata.Item{message("carl", 0)}); !errors.Is(err, bachata.ErrUnavailable) {
		t.Errorf("Put that waits for 2 replicas where there is 1: %v, want ErrUnavailable", err)
	}
	replica.Pause()
	if err := put(1); !errors.Is(err, bachata.ErrUnavailable) {
		t.Errorf("Put while the replica is stopped: %v, want ErrUnavailable", err)
	}
	confirm := func() error {
		_, err := q.PopDelivered(ctx, "bob", "bob", []bachata.Key{{ID: "0"}})
		return err
	}
	if err := confirm(); !errors.Is(err, bachata.ErrUnavailable) {
		t.Errorf("PopDelivered while the replica is stopped: %v, want ErrUnavailable", err)
	}
	replica.Resume()
	redistest.Eventually(t, "accept it again", func() error { return errors.Join(put(1), confirm()) })
	want(t, q, "bob", "1")
	want(t, q, "of-bob", "300 0")
}

// While a WAIT is under way, puts are stored and inboxes are read; all who put meanwhile share the next one.
func TestWaitIsShared(t *testing.T) {
	t.Parallel()
	const n = 200
	primary := redistest.Start(t)
	replica := redistest.StartReplica(t, primary)
	o := options(primary.Addr())
	o.Wait, o.WaitTimeout, o.Timeout = 1, time.Minute, time.Minute
	q := openQueue(t, o)
	redistest.Eventually(t, "accept what the replica has", func() error { return putter(q)(n) })
	primary.Do("CONFIG", "RESETSTAT")
	replica.Pause()
	accepted := make(chan error, n)
	for id := range n {
		go func() { accepted <- putter(q)(id) }()
	}
	redistest.Eventually(t, "store all", func() error {
		if stored := primary.Do("LLEN", "bob"); stored != strconv.Itoa(n+1) {
			return fmt.Errorf("%s are stored", stored)
		}
		return nil
	})
	if envs, err := q.Fetch(t.Context(), "bob", 0, bachata.Limit{}); err != nil || len(envs) != n+1 {
		t.Errorf("Fetch while a WAIT is under way found %d, %v, want %d", len(envs), err, n+1)
	}
	if len(accepted) > 0 {
		t.Errorf("%d puts have returned, the first %v, while the replica is stopped", len(accepted), <-accepted)
	}
	replica.Resume()
	for range n {
		if err := <-accepted; err != nil {
			t.Fatal(err)
		}
	}
	_, stats, _ := strings.Cut(primary.Do("INFO", "commandstats"), "cmdstat_wait:calls=")
	calls, _, _ := strings.Cut(stats, ",")
	if waits, err := strconv.Atoi(calls); err != nil || waits > 10 {
		t.Errorf("%d puts at one time took %s WAITs, want 10 at most", n, calls)
	}
}

// A replica accepts nothing, which who starts a node with one has to be told.
func TestReplicaByMistake(t *testing.T) {
	t.Parallel()
	o := options(redistest.StartReplica(t, redistest.Start(t)).Addr())
	var log strings.Builder
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	q := openQueue(t, o)
	if level := q.Info().Level; !strings.HasSuffix(level, "; nothing is accepted now: the server is a replica") {
		t.Errorf("Info().Level of a replica = %q", level)
	}
	if err := putter(q)(0); !errors.Is(err, bachata.ErrUnavailable) {
		t.Errorf("Put into a replica: %v, want ErrUnavailable", err)
	}
	q.Close()
	if !strings.Contains(log.String(), "the server is a replica: nothing will be accepted, name its primary") {
		t.Errorf("no warning of a replica:\n%s", log.String())
	}
}

// What a put has stored before the rest of it fails is not accepted without its replicas either.
func TestWaitForPart(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := options(s.Addr())
	o.Wait, o.WaitTimeout = 1, 100*time.Millisecond
	q := openQueue(t, o)
	s.Do("RPUSH", "carl::state", "another type")
	items := []bachata.Item{message("bob", 0), message("carl", 0)}
	for i := range items {
		items[i].Payload = make([]byte, 600<<10) // two calls of the script
	}
	got, err := q.Put(context.Background(), items)
	if !errors.Is(err, bachata.ErrUnavailable) {
		t.Errorf("Put with wait=1, no replica, and a second half that fails: %v, %v, want ErrUnavailable", got, err)
	}
	if s.Do("EXISTS", "bob:0") != "1" {
		t.Error("the first half was not even stored")
	}
}

// What was put to a primary that failed before its WAIT is not accepted by that of the next one, whose replicas have all that
// it has.
func TestWaitAfterFailover(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	next := redistest.StartReplica(t, primary)
	p := redistest.NewProxy(t, primary.Addr())
	o := options(p.Addr())
	o.Wait, o.WaitTimeout = 1, 30*time.Second
	q := openQueue(t, o)
	put := putter(q)
	redistest.Eventually(t, "accept what the replica has", func() error { return put(0) })
	next.Do("REPLICAOF", "NO", "ONE") // cut off, and then promoted
	redistest.StartReplica(t, next)
	redistest.Eventually(t, "replicate from the next primary", func() error {
		if n := next.Do("WAIT", "1", "100"); n != "1" {
			return fmt.Errorf("%s replicas", n)
		}
		return nil
	})
	var puts [2]chan error // the first is in WAIT, the second waits for the next one
	for i := range puts {
		puts[i] = make(chan error, 1)
		go func() { puts[i] <- put(1 + i) }()
		redistest.Eventually(t, "put", func() error {
			if primary.Do("EXISTS", fmt.Sprint("bob:", 1+i)) != "1" {
				return errors.New("not there")
			}
			return nil
		})
	}
	pause(50 * time.Millisecond) // in which the second has its answer
	p.Lead(next.Addr())
	p.Cut()
	for i, put := range puts {
		if err := <-put; !errors.Is(err, bachata.ErrUnavailable) {
			t.Errorf("put %d, which the next primary does not have: %v, want ErrUnavailable", 1+i, err)
		}
	}
	redistest.Eventually(t, "accept it again", func() error { return errors.Join(put(1), put(2)) })
	want(t, q, "bob", "0", "1", "2")
}

// Replicas that keep no append-only file are counted where the server can't tell, and else named as the reason.
func TestWaitForFiles(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	replica := redistest.StartReplica(t, primary)
	o := options(primary.Addr())
	o.Wait, o.WaitTimeout = 1, 300*time.Millisecond
	q := openQueue(t, o)
	put := putter(q)
	_, unknown := primary.Try("WAITAOF", "0", "0", "1")
	if unknown == nil {
		redistest.Eventually(t, "name the replica without a file", func() error {
			if err := put(0); !errors.Is(err, bachata.ErrUnavailable) || !strings.Contains(err.Error(), "set appendonly yes on them too") {
				return fmt.Errorf("Put: %w, want it to say that the replica has no append-only file", err)
			}
			return nil
		})
		replica.Do("CONFIG", "SET", "appendonly", "yes")
		replica.Do("CONFIG", "SET", "appendfsync", "always")
	}
	redistest.Eventually(t, "accept what the replica has", func() error { return put(0) })
	want(t, q, "bob", "0")
}

// bucketOf returns what the keys of a channel begin with on a cluster.
func bucketOf(channel string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(channel))
	return fmt.Sprintf("{%d}", h.Sum32()%1024)
}

// bucketSlot returns the slot of the keys of a channel on a cluster.
func bucketSlot(t *testing.T, s *redistest.Server, channel string) int {
	slot, err := strconv.Atoi(s.Do("CLUSTER", "KEYSLOT", bucketOf(channel)))
	if err != nil {
		t.Fatal(err)
	}
	return slot
}

func TestSlotMoves(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	a, b := two(t, options(c.Nodes[0].Addr()))
	l := startLoad(t, a, b)
	t.Cleanup(func() { l.explain(c) })
	l.grows(100)
	for i := range loadChannels {
		for _, channel := range []string{fmt.Sprint("load", i), fmt.Sprint("of-load", i)} {
			slot := bucketSlot(t, c.Nodes[0], channel)
			c.Move(slot, (c.Owner(slot)+1)%3)
		}
		l.grows(30)
	}
	l.finish()
}

// While a slot moves, its new node may have all that an inbox consists of but one message. That message is not trash.
func TestMessageMovesLast(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	o := options(c.Nodes[0].Addr())
	o.SweepEvery = time.Hour
	q := openQueue(t, o)
	slot := bucketSlot(t, c.Nodes[0], "bob")
	from := c.Owner(slot)
	to := (from + 1) % 3
	items := messages("bob", 3)
	again := items[0]
	again.Origin = "of-carl"
	if _, err := q.Put(context.Background(), append(items, again)); err != nil {
		t.Fatal(err)
	}
	if envs, err := q.Fetch(context.Background(), "bob", 0, bachata.Limit{Messages: 1}); err != nil || len(envs) != 1 {
		t.Fatalf("Fetch of one message found %d, %v", len(envs), err)
	}
	// Of the keys that the scripts declare, what is missing by now: an inbox of a busy bucket has them all.
	bucket := bucketOf("bob")
	c.Nodes[from].Do("RPUSH", bucket+":out", "trash")
	c.Nodes[from].Do("SET", bucket+":forgot", "\x00\x00\x00\x00\x00\x00")

	c.Begin(slot, to)
	for key := range strings.Lines(c.Nodes[from].Do("CLUSTER", "GETKEYSINSLOT", strconv.Itoa(slot), "100")) {
		if key = strings.TrimSpace(key); key != bucket+"bob:1" {
			c.MoveKey(slot, to, key)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if envs, err := q.Fetch(ctx, "bob", 0, bachata.Limit{}); err == nil && len(envs) != 4 {
		t.Errorf("Fetch while the slot moves found %d messages, want all 4 or an error", len(envs))
	}
	c.Finish(slot, to)
	want(t, q, "bob", "0", "1", "2", "0")
}

// explain logs, if the test has failed, what is left on the nodes of a cluster of messages that have not arrived.
func (l *load) explain(c *redistest.Cluster) {
	if !l.t.Failed() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for channel, n := range l.accepted {
		var missing []int
		for id := range n {
			if !slices.Contains(l.got[channel], id) {
				missing = append(missing, id)
			}
		}
		if len(missing) == 0 {
			continue
		}
		l.t.Logf("%s: %v have not arrived of %d; in their order came %v", channel, missing, n, l.got[channel])
		list := bucketOf(channel) + channel
		for i, s := range c.Nodes {
			for _, command := range [][]string{
				{"LRANGE", list, "0", "-1"}, {"LRANGE", list + ":wait", "0", "-1"}, {"GET", list + "::state"},
				{"LRANGE", list + ":" + strconv.Itoa(missing[0]), "0", "-1"}, {"CLUSTER", "NODES"},
			} {
				answer, err := s.Try(command...)
				l.t.Logf("node %d: %q: %q, %v", i, command, answer, err)
			}
		}
	}
}

// The level says what the server does, as it is set now.
func TestLevel(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Do("ACL", "SETUSER", "hosted", "on", ">password", "~*", "&*", "+@all", "-config")
	for _, tt := range []struct{ appendonly, fsync, save, user, want string }{
		{"no", "always", "", "", "Redis in memory: lost when the server ends"},
		{"no", "always", "60 1", "", "Redis in memory with snapshots: what came after the last snapshot is lost"},
		{"yes", "no", "60 1", "", "Redis, appendfsync no: survives kill -9 of the server; what the kernel had not written is lost"},
		{"yes", "everysec", "", "", "Redis, appendfsync everysec: survives kill -9 of the server, but for two seconds"},
		{"yes", "always", "", "", "Redis, appendfsync always: survives kill -9 and power loss of its host"},
		{"yes", "always", "", "hosted", "as safe as the Redis server is configured, which it does not tell"},
	} {
		s.Do("CONFIG", "SET", "appendonly", tt.appendonly, "appendfsync", tt.fsync, "save", tt.save)
		o := options(s.Addr())
		if tt.user != "" {
			o.Username, o.Password = tt.user, "password"
		}
		q := openQueue(t, o)
		if level := q.Info().Level; !strings.HasPrefix(level, tt.want) || strings.Contains(level, "replica") {
			t.Errorf("with %+v, Info().Level is %q", tt, level)
		}
	}
	redistest.StartReplica(t, s)
	if level := openQueue(t, options(s.Addr())).Info().Level; !strings.HasSuffix(level, "; a failover can lose what 1 replica had not got yet") {
		t.Errorf("with a replica, Info().Level is %q", level)
	}
}

// Of a cluster that primary counts that promises least: for its replicas, and for what it may throw away, each by itself.
func TestClusterLevel(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	redistest.StartReplica(t, c.Nodes[0])
	c.Nodes[1].Do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	redistest.StartReplica(t, c.Nodes[1])
	for range 8 { // the order in which they are asked is a matter of chance
		o := options(c.Addrs()...)
		o.Wait = 1
		var log strings.Builder
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		q := openQueue(t, o)
		level := q.Info().Level
		q.Close()
		if !strings.HasSuffix(level, "; nothing is accepted now: 1 replica must have it too, the server has no replica") {
			t.Fatalf("Info().Level = %q, want it to say that one of the primaries has no replica", level)
		}
		for _, warning := range []string{"maxmemory-policy is", "wait is 1, the server has no replica"} {
			if !strings.Contains(log.String(), warning) {
				t.Fatalf("no warning %q:\n%s", warning, log.String())
			}
		}
	}
}

// Who starts a node while a primary of the cluster is away learns that not everything is accepted.
func TestClusterLevelWithoutAPrimary(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(s *redistest.Server){"killed": (*redistest.Server).Kill, "silent": (*redistest.Server).Pause} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t, 3)
			lost := c.Nodes[1]
			away(lost)
			if name == "silent" {
				t.Cleanup(lost.Resume)
			}
			for i := range 4 { // the order in which they are asked is a matter of chance
				o := options(c.Nodes[0].Addr(), c.Nodes[2].Addr())
				o.Timeout = time.Second
				var log strings.Builder
				o.Logger = slog.New(slog.NewTextHandler(&log, nil))
				q := openQueue(t, o)
				level := q.Info().Level
				q.Close()
				want := "the primary at " + lost.Addr() + " does not answer"
				if !strings.HasSuffix(level, "; not everything is accepted now: "+want) {
					t.Errorf("time %d: Info().Level = %q, want it to say that %s", i, level, want)
				}
				if !strings.Contains(log.String(), "the cluster is not complete, "+want) {
					t.Errorf("time %d: no warning that %s:\n%s", i, want, log.String())
				}
			}
		})
	}
}

func TestClusterNodeKilled(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, "--appendonly", "yes", "--appendfsync", "always")
	a, b := two(t, options(c.Addrs()...))
	l := startLoad(t, a, b)
	for i := range 3 {
		l.grows(50)
		c.Nodes[i].Kill()
		c.Nodes[i].Restart()
	}
	l.grows(50)
	l.finish()
}

func TestClusterNodesAreShared(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	o := options(c.Addrs()...)
	o.Cluster = true
	q := openQueue(t, o)
	if info := q.Info(); info.Atomic {
		t.Errorf("Info() = %+v, a cluster commits each channel by itself", info)
	}
	single := redistest.Start(t)
	o.Addresses = []string{single.Addr()}
	if _, err := redis.Open(context.Background(), o); err == nil {
		t.Error("Open with Cluster of a server that is none succeeded")
	}
}

// deploy/redis/cluster.sh gives replicas to a cluster whose making was interrupted, and leaves one alone that has them.
func TestClusterScript(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	servers := c.Nodes
	for range 3 {
		bus := strconv.Itoa(redistest.FreePort(t))
		s := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "2000")
		c.Nodes[0].Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(s.Port()), bus)
		servers = append(servers, s)
	}
	args := []string{"../deploy/redis/cluster.sh"}
	for _, s := range servers {
		args = append(args, s.Addr())
		redistest.Eventually(t, "meet "+s.Addr(), func() error {
			if info := s.Do("CLUSTER", "INFO"); !strings.Contains(info, "cluster_known_nodes:6\r") {
				return errors.New(info)
			}
			return nil
		})
	}
	secrets := t.TempDir()
	if err := os.WriteFile(filepath.Join(secrets, "redis-admin"), []byte("unused"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{3, 0} {
		cmd := exec.Command("sh", args...)
		cmd.Env = append(os.Environ(), "SECRETS="+secrets)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("cluster.sh: %v, %s", err, out)
		}
		if got := strings.Count(string(out), " is to follow "); got != want {
			t.Errorf("cluster.sh made %d replicas, want %d: %s", got, want, out)
		}
	}
	primaries := map[string]bool{}
	for _, s := range servers[3:] {
		role := strings.Fields(s.Do("ROLE")) // slave, host and port of its primary, ...
		if role[0] != "slave" {
			t.Fatalf("ROLE of %s = %q, want a replica", s.Addr(), role)
		}
		primaries[role[2]] = true
	}
	if len(primaries) != 3 {
		t.Errorf("the replicas follow %v, want a primary each", primaries)
	}
}
