package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/queuetest"
	"github.com/bachata-go/bachata/redis"
)

// TestConformanceApart has the receipts of every message that the script for all cases puts stand apart from its record, as those
// of large groups do.
func TestConformanceApart(t *testing.T) {
	t.Parallel()
	address := redistest.Start(t).Addr()
	queuetest.Run(t, queuetest.Backend{
		Name: "redis, receipts apart",
		New: func(_ testing.TB, common bachata.QueueOptions) *queuetest.Store {
			o := redis.ApartFrom(redis.Options{QueueOptions: common, Addresses: []string{address}, Prefix: prefix()}, -1)
			return &queuetest.Store{
				Open:  func() (queuetest.Queue, error) { return redis.Open(context.Background(), o) },
				Crash: func() {},
			}
		},
	})
}

// Receipts of a message to many stand apart from its record, which stays short, as long as it is remembered, and no longer.
func TestReceiptsApart(t *testing.T) {
	t.Parallel()
	onEachKind(t, func(t *testing.T, nodes []*redistest.Server, o redis.Options, ahead *atomic.Int64) {
		q := openQueue(t, o)
		members := groupOf(100)
		two := []bachata.Item{inGroup("1", members), inGroup("2", members)}
		put := func(items []bachata.Item, want bachata.PutStatus) {
			t.Helper()
			res, err := q.Put(t.Context(), items)
			if err != nil || res[0][0] != want || res[len(items)-1][len(items[0].Channels)-1] != want {
				t.Fatalf("put: %v, %v, want %v", res, err, want)
			}
		}
		pop := func(channel string, n int) {
			t.Helper()
			keys := handedKeys(t, q, channel)
			if len(keys) != n {
				t.Fatalf("%s holds %d entries, want %d", channel, len(keys), n)
			}
			if _, err := q.PopDelivered(t.Context(), channel, channel, keys); err != nil {
				t.Fatal(err)
			}
		}
		apart := func() (lists, receipts int) {
			for _, s := range nodes {
				for key := range strings.Lines(s.Do("EVAL", `local all = '' for _, key in ipairs(redis.call('KEYS', '*:told:*')) do
					local ttl = redis.call('PTTL', key)
					if ttl < 30 * 86400000 or ttl > 31 * 86400000 then error('ttl ' .. ttl) end
					all = all .. redis.call('LLEN', key) .. '\n' end return all`, "0")) {
					n := 0
					_, _ = fmt.Sscan(key, &n)
					lists, receipts = lists+1, receipts+n
				}
			}
			return lists, receipts
		}
		for round := range 2 { // the second when the first is forgotten, or nearly
			put(two, bachata.Stored)
			for _, m := range members {
				pop(m, 2)
			}
			if lists, receipts := apart(); lists != 2 || receipts != 200 {
				t.Errorf("round %d: %d receipts stand apart in %d lists, want 200 in 2", round, receipts, lists)
			}
			pop("anna", 200)
			put(two, bachata.Duplicate)
			pop("anna", 200)
			ahead.Add(int64(2 * time.Hour))
		}
		put([]bachata.Item{inGroup("3", members)}, bachata.Stored)
		pop(members[0], 1)
		ahead.Add(int64(2 * time.Hour))
		o.SweepEvery = 50 * time.Millisecond
		openQueue(t, o) // forgets what is past the window and waits for nobody
		for lists, _ := apart(); lists != 1; lists, _ = apart() {
			time.Sleep(10 * time.Millisecond)
		}
		for _, m := range members[2:] {
			pop(m, 1)
		}
		if lists, receipts := apart(); lists != 1 || receipts != 99 {
			t.Errorf("of what waits for one yet, %d receipts stand apart in %d lists, want 99 in 1", receipts, lists)
		}
		pop(members[1], 1)
		if lists, _ := apart(); lists != 0 {
			t.Errorf("%d lists are left of what waits for nobody any more and is past the window", lists)
		}
	})
}

// What the first of two copies in one call tells its sender, the second repeats.
func TestReceiptsApartOfTwoCopies(t *testing.T) {
	t.Parallel()
	servers := map[string]string{
		"single":  redistest.Start(t).Addr(),
		"shared":  redistest.Start(t).Addr(),
		"cluster": redistest.StartCluster(t, 3).Nodes[0].Addr(),
	}
	for name, address := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(address)
			o.Shared, o.InboxMessages = name == "shared", 1
			q := openQueue(t, o)
			members := groupOf(40)
			for _, items := range [][]bachata.Item{{message("m0", 1)}, {inGroup("1", members), inGroup("1", members)}} {
				if res, err := q.Put(t.Context(), items); err != nil || res[0][len(res[0])-1] != bachata.Stored {
					t.Fatal(res, err)
				}
			}
			want(t, q, "anna", "481 1", "481 1") // the inbox of m0 was full
		})
	}
}

// Receipts that stand apart are remembered as long as the id, also if no message may wait that long.
func TestReceiptsApartInWindow(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := options(s.Addr())
	o.InboxAge, o.Dedupe, o.SweepEvery = time.Hour, 3*24*time.Hour, -1
	q := openQueue(t, o)
	members := groupOf(40)
	both := []bachata.Item{inGroup("1", members), inGroup("2", members)}
	if _, err := q.Put(t.Context(), both); err != nil {
		t.Fatal(err)
	}
	byID := []bachata.Key{{ID: "1"}, {ID: "2"}}
	for i, how := range [][][]bachata.Key{{byID}, {nil}, {byID[:1], nil}} { // nil: by number, of all that is left
		m := members[i]
		for _, keys := range how {
			all := handedKeys(t, q, m)
			if keys == nil {
				keys = all
			}
			popped, err := q.PopDelivered(t.Context(), m, m, keys)
			if err != nil || !popped[0].Found {
				t.Fatal(popped, err)
			}
		}
		// The next one makes the lists anew.
		least := s.Do("EVAL", `local least = math.huge for _, key in ipairs(redis.call('KEYS', ':told:*')) do
			least = math.min(least, redis.call('PTTL', key)) redis.call('DEL', key) end return string.format('%.0f', least)`, "0")
		if ms, err := strconv.ParseInt(least, 10, 64); err != nil || ms < o.Dedupe.Milliseconds() {
			t.Errorf("%s: receipts go in %s ms (%v), the id in %v", m, least, err, o.Dedupe)
		}
	}
}

// While a slot moves, receipts that stand apart may be on its new node when the id is to be forgotten. It is forgotten later.
func TestReceiptsApartMoveFirst(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	var ahead atomic.Int64
	o := options(c.Nodes[0].Addr())
	o.SweepEvery = -1
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	q := openQueue(t, o)
	members := groupOf(40)
	if _, err := q.Put(t.Context(), []bachata.Item{inGroup("1", members)}); err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if _, err := q.PopDelivered(t.Context(), m, m, handedKeys(t, q, m)); err != nil {
			t.Fatal(err)
		}
	}
	slot, bucket := bucketSlot(t, c.Nodes[0], "anna"), bucketOf("anna")
	from := c.Owner(slot)
	to := (from + 1) % 3
	// Of the keys that the script declares, what is missing by now: a busy bucket has them all.
	c.Nodes[from].Do("SET", bucket+":forgot", "1")
	apart := c.Nodes[from].Do("EVAL", "return redis.call('KEYS', ARGV[1])[1]", "0", bucket+":told:*")
	c.Begin(slot, to)
	c.MoveKey(slot, to, apart)
	ahead.Add(int64(2 * time.Hour))
	o.SweepEvery = 50 * time.Millisecond
	openQueue(t, o)
	redistest.Eventually(t, "try to forget", func() error {
		if _, err := c.Nodes[from].Try("LLEN", bucket+":aging"); err != nil { // an empty list is not there
			return nil
		}
		if !strings.Contains(c.Nodes[from].Do("INFO", "errorstats"), "_TRYAGAIN:") {
			return errors.New("it was not tried")
		}
		return nil
	})
	c.Finish(slot, to)
	redistest.Eventually(t, "forget", func() error {
		if known, lists := c.Nodes[to].Do("HLEN", bucket+":known"), c.Nodes[to].Do("EXISTS", apart); known != "0" || lists != "0" {
			return fmt.Errorf("%s ids are remembered, of %s lists", known, lists)
		}
		return nil
	})
}

// What stands apart goes when the id is accepted once more, also if the group is a small one by then.
func TestReceiptsApartOfShrunkGroup(t *testing.T) {
	t.Parallel()
	onEachKind(t, func(t *testing.T, nodes []*redistest.Server, o redis.Options, ahead *atomic.Int64) {
		q := openQueue(t, o)
		for _, members := range [][]string{groupOf(40), groupOf(2)} {
			if res, err := q.Put(t.Context(), []bachata.Item{inGroup("1", members)}); err != nil || res[0][0] != bachata.Stored {
				t.Fatal(res, err)
			}
			for _, m := range members {
				if _, err := q.PopDelivered(t.Context(), m, m, handedKeys(t, q, m)); err != nil {
					t.Fatal(err)
				}
			}
			ahead.Add(int64(2 * time.Hour))
		}
		for _, s := range nodes {
			if keys := s.Do("KEYS", "*:told:*"); keys != "" {
				t.Errorf("%q is left", keys)
			}
		}
	})
}

// At the memory limit a put to many is refused before anything is remembered of it.
func TestReceiptsApartAtMemoryLimit(t *testing.T) {
	t.Parallel()
	servers := map[string][]*redistest.Server{
		"single":  {redistest.Start(t)},
		"cluster": redistest.StartCluster(t, 3).Nodes,
	}
	for name, nodes := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(nodes[0].Addr())
			o.SweepEvery = -1
			q := openQueue(t, o)
			limit := func(bytes string) {
				for _, s := range nodes {
					s.Do("CONFIG", "SET", "maxmemory", bytes)
				}
			}
			limit("1")
			items := []bachata.Item{inGroup("1", groupOf(40))}
			if res, err := q.Put(t.Context(), items); !errors.Is(err, bachata.ErrUnavailable) {
				t.Errorf("put: %v, %v, want it refused", res, err)
			}
			for _, s := range nodes {
				if keys := s.Do("KEYS", "*"); keys != "" {
					t.Errorf("what was refused left %q", keys)
				}
			}
			limit("0")
			if res, err := q.Put(t.Context(), items); err != nil || res[0][0] != bachata.Stored {
				t.Errorf("put: %v, %v, want it stored", res, err)
			}
		})
	}
}

// onEachKind has test run on the servers of each kind, with options for a node that forgets nothing by itself and whose clock
// is ahead by what it says.
func onEachKind(t *testing.T, test func(t *testing.T, nodes []*redistest.Server, o redis.Options, ahead *atomic.Int64)) {
	for name, nodes := range map[string][]*redistest.Server{
		"single":  {redistest.Start(t)},
		"shared":  {redistest.Start(t)},
		"cluster": redistest.StartCluster(t, 3).Nodes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ahead := new(atomic.Int64)
			o := options(nodes[0].Addr())
			o.Shared, o.SweepEvery = name == "shared", -1
			o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			test(t, nodes, o, ahead)
		})
	}
}

// groupOf returns the names of n members.
func groupOf(n int) []string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprint("m", i)
	}
	return members
}

// inGroup is a message of anna's to the members of a group.
func inGroup(id string, members []string) bachata.Item {
	return bachata.Item{
		Channels: members, ID: bachata.StringID(id), Origin: "anna", From: "anna", Dest: "team", Payload: []byte(`{"id":"` + id + `"}`),
	}
}
