package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/redis"
)

func options(addresses ...string) redis.Options {
	return redis.Options{Addresses: addresses, Timeout: 2 * time.Second}
}

// two opens two nodes.
func two(t testing.TB, o redis.Options) (a, b *redis.Queue) { return openQueue(t, o), openQueue(t, o) }

func TestServerKilled(t *testing.T) {
	t.Parallel()
	for _, fsync := range []string{"always", "everysec"} {
		t.Run(fsync, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", fsync)
			a, b := two(t, options(s.Addr()))
			if got := a.Info().Level; !strings.Contains(got, fsync) {
				t.Errorf("the server has appendfsync %s, Info().Level is %q", fsync, got)
			}
			l := startLoad(t, a, b)
			for range 3 {
				l.grows(100)
				if fsync == "everysec" {
					// The server puts a write off while the disk is busy with the one before.
					since := l.snapshot()
					redistest.Eventually(t, "write what it was sent", func() error {
						if info := s.Do("INFO", "persistence"); !strings.Contains(info, "\naof_buffer_length:0\r") {
							return errors.New("something is put off")
						}
						return nil
					})
					s.Kill()
					l.mayLose(since)
				} else {
					s.Kill()
				}
				s.Restart()
			}
			l.grows(100)
			l.finish()
		})
	}
}

// A server that reads its append-only file says that it has none, and has it all the same.
func TestLevelOfLoadingServer(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 2, "--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "yes")
	s := c.Nodes[1]
	s.Do("EVAL", "for i = 1, 30000 do redis.call('SET', KEYS[1] .. i, i) end", "1", "{a}") // slot 15495
	s.Do("CONFIG", "SET", "key-load-delay", "100")                                         // µs, and it answers after each 1,024 keys
	loaded := make(chan error, 1)
	go func() {
		_, err := s.Try("DEBUG", "LOADAOF")
		loaded <- err
	}()
	redistest.Eventually(t, "begin to read", func() error {
		if info := s.Do("INFO", "persistence"); !strings.Contains(info, "\nloading:1\r") || !strings.Contains(info, "\naof_enabled:0\r") {
			return errors.New("it does not read its file")
		}
		return nil
	})
	o := options(c.Addrs()[:1]...)
	o.Timeout = 20 * time.Second
	q := openQueue(t, o)
	if got := q.Info().Level; !strings.Contains(got, "appendfsync always") {
		t.Errorf("Info().Level = %q, want it to name appendfsync always", got)
	}
	if err := <-loaded; err != nil {
		t.Errorf("DEBUG LOADAOF: %v", err)
	}
}

func TestScriptsFlushed(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a, b := two(t, options(s.Addr()))
	l := startLoad(t, a, b)
	for range 5 {
		l.grows(50)
		s.Do("SCRIPT", "FLUSH")
	}
	l.grows(50)
	l.finish()
	if l.refused > 0 {
		t.Errorf("%d puts were refused because the server had forgotten its scripts", l.refused)
	}
}

func TestClientsKilled(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a, b := two(t, options(s.Addr()))
	l := startLoad(t, a, b)
	for range 5 {
		l.grows(50)
		for _, kind := range []string{"normal", "pubsub"} {
			_, _ = s.Try("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
		}
	}
	l.grows(50)
	l.finish()
}

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	q := openQueue(t, options(s.Addr()))
	ctx := context.Background()
	if _, err := q.Put(ctx, []bachata.Item{message("bob", 0), message("bob", 1), message("carl", 0), message("dora", 0)}); err != nil {
		t.Fatal(err)
	}
	s.Do("CONFIG", "SET", "maxmemory", "1mb")
	for channel, most := range map[string]int{"carl": 1, "dora": 100} {
		if envs, err := q.Fetch(ctx, channel, 0, bachata.Limit{Messages: most}); err != nil || len(envs) != 1 {
			t.Errorf("Fetch of %d at the memory limit: %v, %v; what is stored must get out", most, envs, err)
		}
	}
	_, err := q.Put(ctx, []bachata.Item{message("bob", 2)})
	if !errors.Is(err, bachata.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), "maxmemory") {
		t.Errorf("Put at the memory limit: %v, want ErrUnavailable that names maxmemory", err)
	}
	popped, err := q.PopDelivered(ctx, "bob", "bob", []bachata.Key{{ID: "0"}})
	if err != nil || !popped[0].Found {
		t.Errorf("PopDelivered at the memory limit: %v, %v; what makes room must work", popped, err)
	}
	s.Do("CONFIG", "SET", "maxmemory", "0")
	if res, err := q.Put(ctx, []bachata.Item{message("bob", 2)}); err != nil || res[0][0] != bachata.Stored {
		t.Errorf("Put when there is room again: %v, %v", res, err)
	}
	want(t, q, "bob", "1", "2")
	want(t, q, "of-bob", "300 0")
}

// want checks what an inbox holds: messages by id, others by code and id.
func want(t *testing.T, q *redis.Queue, channel string, ids ...string) []bachata.Envelope {
	t.Helper()
	envs, err := q.Fetch(context.Background(), channel, 0, bachata.Limit{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range envs {
		switch e.Kind {
		case bachata.KindMessage:
			got = append(got, e.ID.Text)
		case bachata.KindReceipt:
			got = append(got, fmt.Sprint([...]int{300, 480, 481}[e.Outcome], " ", e.ID.Text))
		default:
			got = append(got, fmt.Sprintf("gap %+v", e.Gap))
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(ids) {
		t.Errorf("inbox of %s: %q, want %q", channel, got, ids)
	}
	return envs
}

func TestTrash(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	q := openQueue(t, options(s.Addr()))
	ctx := context.Background()
	put := func(items ...bachata.Item) []bachata.PutResult {
		t.Helper()
		res, err := q.Put(ctx, items)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	put(message("bob", 0))
	trash := []string{"!", "", "bob", "bob:", "bob:nothing", "bobby:1", "bob::", "bob::r", "bob::g1", "bob::tshort", "{}", "\x00\xff"}
	s.Do(append([]string{"LPUSH", "bob"}, trash...)...)
	put(message("bob", 1))
	want(t, q, "bob", "0", "1")
	s.Do(append([]string{"LPUSH", "bob:wait"}, trash...)...)
	s.Do(append([]string{"RPUSH", "bob:wait"}, trash...)...)
	put(message("bob", 2))
	want(t, q, "bob", "0", "1", "2")
	s.Do("SET", "bob:3", "another type")
	put(message("bob", 3))
	s.Do("DEL", "bob:1")
	s.Do("SET", "bob:1", "not a message")
	envs := want(t, q, "bob", "0", "2", "3")
	for _, e := range envs {
		if popped, err := q.PopDelivered(ctx, "bob", "bob", []bachata.Key{{Cursor: e.Cursor}}); err != nil || !popped[0].Found {
			t.Errorf("pop %s among trash: %v, %v", e.ID, popped, err)
		}
	}
	want(t, q, "of-bob", "300 0", "300 2", "300 3")

	s.Do("SET", "carl", "another type")
	if res := put(message("carl", 0), message("dora", 0)); res[0][0] != bachata.Unavailable || res[1][0] != bachata.Stored {
		t.Errorf("put into a key of another type and one that is fine: %v", res)
	}
	if res := put(message("carl", 1), message("carl", 2)); res[0][0] != bachata.Unavailable || res[1][0] != bachata.Unavailable {
		t.Errorf("put several into a key of another type: %v", res)
	}
	if keys := s.Do("KEYS", "carl:[^:]*") + s.Do("KEYS", "carl::m*"); keys != "" {
		t.Errorf("puts that failed have left the messages %q", keys)
	}
	s.Do("DEL", "carl")
	if res := put(message("carl", 0)); res[0][0] != bachata.Stored {
		t.Errorf("put when that key is gone: %v", res)
	}
	want(t, q, "carl", "0")
	want(t, q, "dora", "0")
}

// What looks like an entry and is none hides nothing, whatever the limit.
func TestTrashWithNumber(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	q := openQueue(t, options(s.Addr()))
	for _, most := range []int{1, 2} {
		channel := fmt.Sprint("bob", most)
		if _, err := q.Put(context.Background(), messages(channel, 2)); err != nil {
			t.Fatal(err)
		}
		for _, kind := range "rgtz" {
			s.Do("RPUSH", channel, channel+"::"+string(kind)+"\x00\x00\x00\x00\x00\x00"+string(kind)+"\xff\xff\xff\xff\xff")
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		var after bachata.Cursor
		for id := range 3 {
			envs, err := q.Fetch(ctx, channel, after, bachata.Limit{Messages: most})
			if err != nil || len(envs) == 0 && id < 2 || len(envs) > 0 && envs[0].ID.Text != fmt.Sprint(id) {
				t.Fatalf("Fetch %d of %d: %v, %v", id, most, envs, err)
			}
			if len(envs) > 0 {
				after = envs[0].Cursor
			}
		}
	}
}

// A key of another type where the wait list should be is an error, and costs no message.
func TestWaitListInTheWay(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	q := openQueue(t, options(s.Addr()))
	ctx := context.Background()
	for _, most := range []int{1, 2, 100} {
		for _, how := range []string{"", "trash", "no room"} { // what the fast way leaves to the general one
			channel := fmt.Sprint("bob", most, how)
			if _, err := q.Put(ctx, []bachata.Item{message(channel, 0)}); err != nil {
				t.Fatal(err)
			}
			after := want(t, q, channel, "0")[0].Cursor
			if _, err := q.Put(ctx, messages(channel, 4)[1:]); err != nil {
				t.Fatal(err)
			}
			limit := bachata.Limit{Messages: most}
			switch how {
			case "trash":
				s.Do("RPUSH", channel, "trash")
			case "no room":
				limit.Bytes = 1
			}
			s.Do("RENAME", channel+":wait", "aside")
			s.Do("SET", channel+":wait", "another type")
			if envs, err := q.Fetch(ctx, channel, after, limit); !errors.Is(err, bachata.ErrUnavailable) {
				t.Errorf("Fetch of %d with %q: %v, %v", most, how, envs, err)
			}
			s.Do("RENAME", "aside", channel+":wait")
			want(t, q, channel, "0", "1", "2", "3")
		}
	}
}

func TestSlowServer(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	a, b := two(t, options(p.Addr()))
	l := startLoad(t, a, b)
	l.grows(50)
	p.Delay(30 * time.Millisecond)
	l.grows(50)
	p.Heal()
	s.Pause()
	pause(time.Second)
	s.Resume()
	l.grows(50)
	l.finish()
}

func TestHalfOpen(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	q := openQueue(t, options(p.Addr()))
	ctx := context.Background()
	woken := make(chan struct{}, 100)
	stop, err := q.Watch("bob", func(bachata.Wake) { woken <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	redistest.Eventually(t, "be woken", func() error { return putAndWake(ctx, q, "bob", woken) })

	p.Freeze() // connections stay open, nothing arrives

	bounded, cancel := context.WithTimeout(ctx, 30*time.Second) // the queue's own timeout is 2 s
	defer cancel()
	if _, err := q.Put(bounded, []bachata.Item{message("bob", 1_000_000)}); !errors.Is(err, bachata.ErrUnavailable) || bounded.Err() != nil {
		t.Errorf("Put over a half-open connection: %v, want ErrUnavailable before its context ends", err)
	}
	p.Cut()
	p.Heal()
	redistest.Eventually(t, "be woken again", func() error { return putAndWake(ctx, q, "bob", woken) })
}

// A connection for wake-ups that nothing arrives over any more is found by pinging it, also if nobody wants anything of the
// server: without that, nobody here would be woken until all inboxes are looked at.
func TestHalfOpenSubscription(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	a, b := openQueue(t, options(s.Addr())), openQueue(t, options(p.Addr()))
	wakes := watchBoth(t, []*redis.Queue{a, b})
	p.Strand()
	if err := putter(a)(0); err != nil {
		t.Fatal(err)
	}
	<-wakes[0]
	select {
	case <-wakes[1]:
	case <-time.After(20 * time.Second): // a third of when all is looked at anyway
		t.Error("nobody was woken over a new connection")
	}
	want(t, b, "bob", "0")
}

// What wakes nobody, though all are subscribed, is found when all inboxes are looked at.
func TestWakeLost(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := options(s.Addr())
	o.Prefix, o.SweepEvery = "there.", time.Second
	there := openQueue(t, o)
	o.Prefix = "here."
	here := openQueue(t, o)
	woken := watchBoth(t, []*redis.Queue{here})[0]
	if err := putter(there)(0); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"bob:0", "bob::state", "bob"} { // which publishes nothing
		s.Do("EVAL", "redis.call('DEL', KEYS[2]) redis.call('RENAME', KEYS[1], KEYS[2])", "2", "there."+key, "here."+key)
	}
	select {
	case <-woken:
	case <-time.After(20 * time.Second):
		t.Error("nobody was woken in 20 s, inboxes are looked at each second")
	}
}

var lastID int // of putAndWake, which one test uses

func putAndWake(ctx context.Context, q *redis.Queue, channel string, woken chan struct{}) error {
	lastID++
	for len(woken) > 0 {
		<-woken
	}
	if _, err := q.Put(ctx, []bachata.Item{message(channel, lastID)}); err != nil {
		return err
	}
	select {
	case <-woken:
		return nil
	case <-time.After(500 * time.Millisecond):
		return errors.New("not woken")
	}
}

func TestServerAway(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	q := openQueue(t, options(s.Addr()))
	ctx := context.Background()
	if _, err := q.Put(ctx, []bachata.Item{message("bob", 0)}); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if _, err := q.Put(ctx, []bachata.Item{message("bob", 1)}); !errors.Is(err, bachata.ErrUnavailable) {
		t.Errorf("Put without a server: %v", err)
	}
	if _, err := q.Fetch(ctx, "bob", 0, bachata.Limit{}); !errors.Is(err, bachata.ErrUnavailable) {
		t.Errorf("Fetch without a server: %v", err)
	}
	if err := q.Ping(ctx); !errors.Is(err, bachata.ErrUnavailable) {
		t.Errorf("Ping without a server: %v", err)
	}
	woken := make(chan struct{}, 100)
	stop, err := q.Watch("bob", func(bachata.Wake) { woken <- struct{}{} })
	if err != nil {
		t.Fatalf("Watch without a server: %v, a socket may come while it is away", err)
	}
	defer stop()
	s.Restart()
	select { // what waited is announced
	case <-woken:
	case <-time.After(15 * time.Second):
		t.Error("the server is back, nobody was woken")
	}
	want(t, q, "bob", "0")
	if err := q.Ping(ctx); err != nil {
		t.Errorf("Ping with a server: %v", err)
	}
	if _, err := redis.Open(ctx, options("127.0.0.1:1")); err == nil {
		t.Error("Open without a server succeeded")
	}
}

// A node that can't subscribe, while all else works, looks at inboxes all the same, and says so.
func TestSubscribingFails(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := options(s.Addr())
	o.SweepEvery, o.Timeout = time.Second, time.Second
	log := &lockedBuffer{}
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	q := openQueue(t, o)
	s.Do("ACL", "SETUSER", "default", "-ssubscribe")
	woken, stop, err := watch(q, "bob")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if _, err := q.Put(context.Background(), []bachata.Item{message("bob", 0)}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-woken:
	case <-time.After(15 * time.Second):
		t.Error("nobody was woken in 15 s, inboxes are looked at each second")
	}
	says := func(text string) {
		t.Helper()
		redistest.Eventually(t, "say it", func() error {
			if !strings.Contains(log.String(), text) {
				return fmt.Errorf("the log is %q", log.String())
			}
			return nil
		})
	}
	says("wake-ups can't be subscribed")
	s.Do("ACL", "SETUSER", "default", "+ssubscribe")
	says("wake-ups are subscribed again")
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// At the memory limit an inbox can be looked through for what has expired, though nothing has, and be read and emptied.
func TestExpiryAtMemoryLimit(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		s := redistest.Start(t)
		o := options(s.Addr())
		o.Shared = shared
		var ahead atomic.Int64 // of the clock
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		q := openQueue(t, o)
		ctx := context.Background()
		for id := range 2 { // the second is young when the first, confirmed since, would have expired
			ahead.Store(int64(time.Duration(id) * 20 * 24 * time.Hour))
			if _, err := q.Put(ctx, []bachata.Item{message("bob", id)}); err != nil {
				t.Fatal(err)
			}
		}
		first := want(t, q, "bob", "0", "1")[0]
		pop := func(e bachata.Envelope) {
			t.Helper()
			if popped, err := q.PopDelivered(ctx, "bob", "bob", []bachata.Key{{Cursor: e.Cursor}}); err != nil || !popped[0].Found {
				t.Errorf("pop %v, shared %v: %v, %v", e.ID, shared, popped, err)
			}
		}
		pop(first)
		if _, err := q.Put(ctx, []bachata.Item{message("carl", 0)}); err != nil {
			t.Fatal(err)
		}
		ahead.Store(int64(31 * 24 * time.Hour))
		s.Do("CONFIG", "SET", "maxmemory", "1mb")
		pop(want(t, q, "bob", "1")[0])
		want(t, q, "carl", "0") // of those that were not handed out before
		want(t, q, "of-bob", "300 0", "300 1")
	}
}

// An inbox that can't be looked through for what has expired keeps nobody from looking into the others.
func TestExpiryInTheWay(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := options(s.Addr())
	var ahead atomic.Int64 // of the clock
	o.SweepEvery = 10 * time.Millisecond
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	q := openQueue(t, o)
	ctx := context.Background()
	const many = 120 // more than are asked for at once
	for i := range many {
		channel := fmt.Sprint("a", i)
		if _, err := q.Put(ctx, []bachata.Item{message(channel, 0)}); err != nil {
			t.Fatal(err)
		}
		s.Do("DEL", channel+"::state")
		s.Do("RPUSH", channel+"::state", "another type")
	}
	pause(2 * time.Millisecond) // so that bob is due after them
	if _, err := q.Put(ctx, []bachata.Item{message("bob", 0)}); err != nil {
		t.Fatal(err)
	}
	ahead.Store(int64(31 * 24 * time.Hour))
	redistest.Eventually(t, "tell the sender that it expired", func() error {
		if envs, err := q.Fetch(ctx, "of-bob", 0, bachata.Limit{}); err != nil || len(envs) != 1 {
			return fmt.Errorf("%v, %w", envs, err)
		}
		return nil
	})
	want(t, q, "of-bob", "480 0")
}

// Nothing is taken off an inbox if its receipt, or what is known of the message, can't be written.
func TestReceiptInTheWay(t *testing.T) {
	t.Parallel()
	for _, key := range []string{":known", "of-bob::state"} {
		for _, shared := range []bool{false, true} {
			for count := 1; count <= 2; count++ {
				s := redistest.Start(t)
				o := options(s.Addr())
				o.Shared = shared
				q := openQueue(t, o)
				ctx := context.Background()
				if _, err := q.Put(ctx, messages("bob", 1+count)); err != nil {
					t.Fatal(err)
				}
				envs, err := q.Fetch(ctx, "bob", 0, bachata.Limit{})
				if err != nil || len(envs) != 1+count {
					t.Fatal(envs, err)
				}
				if _, err := q.PopDelivered(ctx, "bob", "bob", []bachata.Key{{Cursor: envs[0].Cursor}}); err != nil {
					t.Fatal(err)
				}
				keys := make([]bachata.Key, count)
				for i := range keys {
					keys[i].Cursor = envs[1+i].Cursor
				}
				s.Do("RENAME", key, "aside")
				s.Do("RPUSH", key, "another type")
				if popped, err := q.PopDelivered(ctx, "bob", "bob", keys); !errors.Is(err, bachata.ErrUnavailable) {
					t.Errorf("pop %d with %s of another type, shared %v: %v, %v", count, key, shared, popped, err)
				}
				s.Do("RENAME", "aside", key)
				popped, err := q.PopDelivered(ctx, "bob", "bob", keys)
				if err != nil || !popped[0].Found || !popped[count-1].Found {
					t.Errorf("pop %d after %s was of another type, shared %v: %v, %v", count, key, shared, popped, err)
				}
			}
		}
	}
}

// On a cluster nothing is taken off an inbox either if its receipt can't be put into the list out.
func TestOutInTheWay(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	q := openQueue(t, options(c.Nodes[0].Addr()))
	s, out := c.Nodes[c.Owner(bucketSlot(t, c.Nodes[0], "bob"))], bucketOf("bob")+":out"
	if _, err := q.Put(t.Context(), messages("bob", 3)); err != nil {
		t.Fatal(err)
	}
	s.Do("SET", out, "another type")
	keys := handedKeys(t, q, "bob")
	for _, some := range [][]bachata.Key{keys[:1], keys, {keys[2], keys[0]}, {{ID: "1"}}} {
		if popped, err := q.PopDelivered(t.Context(), "bob", "bob", some); !errors.Is(err, bachata.ErrUnavailable) {
			t.Errorf("pop %v with %s of another type: %v, %v, want ErrUnavailable", some, out, popped, err)
		}
	}
	s.Do("DEL", out)
	if popped, err := q.PopDelivered(t.Context(), "bob", "bob", keys); err != nil || !popped[0].Found || !popped[1].Found || !popped[2].Found {
		t.Errorf("pop after %s was of another type: %v, %v", out, popped, err)
	}
	want(t, q, "of-bob", "300 0", "300 1", "300 2")
}

// What a simple queue takes off the server is returned, also if the caller's context ends meanwhile, as it does when a center
// closes.
func TestSimpleFetchOutlivesItsContext(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := options(s.Addr())
	o.Simple = true
	q := openQueue(t, o)
	if _, err := q.Fetch(t.Context(), "bob", 0, bachata.Limit{}); err != nil { // which has the server know the script
		t.Fatal(err)
	}
	if _, err := q.Put(t.Context(), []bachata.Item{{Channels: []string{"bob"}, Payload: []byte(`{"type":"x"}`)}}); err != nil {
		t.Fatal(err)
	}
	s.Do("CLIENT", "PAUSE", "60000", "WRITE")
	ctx, cancel := context.WithCancel(t.Context())
	var taken []bachata.Envelope
	done := make(chan error, 1)
	go func() {
		var err error
		taken, err = q.Fetch(ctx, "bob", 0, bachata.Limit{})
		done <- err
	}()
	redistest.Eventually(t, "hold the fetch up", func() error {
		for line := range strings.Lines(s.Do("CLIENT", "LIST")) {
			if strings.Contains(line, " cmd=evalsha") && strings.Contains(line, " flags=b") {
				return nil
			}
		}
		return errors.New("no script waits")
	})
	cancel()
	s.Do("CLIENT", "UNPAUSE")
	if err := <-done; err != nil || len(taken) != 1 {
		left, err2 := q.Fetch(t.Context(), "bob", 0, bachata.Limit{})
		t.Errorf("Fetch() = %v, %v, and left %v, %v", taken, err, left, err2)
	}
}
