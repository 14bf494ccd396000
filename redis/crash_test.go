package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
)

// open opens a queue on a cluster, which is closed with the test.
func open(t *testing.T, o Options) *Queue {
	t.Helper()
	q, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// TestReceiptSteps ends a node between the steps by which a receipt travels on a cluster: every 200 has its 300, which
// another node sees to.
func TestReceiptSteps(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	o := Options{Addresses: c.Addrs()}
	other := open(t, o)
	for step, name := range map[hookPoint]string{hookPopped: "popped", hookReceived: "received"} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			dying := open(t, o)
			dying.stopAt = func(at hookPoint) bool { return at == step }
			const n = 40
			origin := "anna-" + name
			for i := range n {
				channel := fmt.Sprint(name, i)
				m := bachata.Item{Channels: []string{channel}, ID: bachata.StringID(channel), Origin: origin, From: origin, Dest: channel, Payload: []byte("{}")}
				if _, err := dying.Put(ctx, []bachata.Item{m}); err != nil {
					t.Fatal(err)
				}
				popped, err := dying.PopDelivered(ctx, channel, channel, []bachata.Key{{ID: channel}})
				if err != nil || !popped[0].Found {
					t.Fatalf("pop: %v, %v", popped, err)
				}
			}
			if err := dying.Close(); err != nil {
				t.Fatal(err)
			}
			receipts := map[string]int{}
			redistest.Eventually(t, "see all receipts", func() error {
				envs, err := other.Fetch(ctx, origin, 0, bachata.Limit{})
				if err != nil {
					return err
				}
				clear(receipts)
				for _, e := range envs {
					receipts[e.ID.Text]++
				}
				if len(receipts) < n {
					return fmt.Errorf("%d of %d receipts", len(receipts), n)
				}
				return nil
			})
			redistest.Eventually(t, "empty the out lists", func() error {
				for b := range buckets {
					n, err := other.client.Do(ctx, other.client.B().Llen().Key(other.keys.lead(b)+":out").Build()).AsInt64()
					if err != nil || n > 0 {
						return fmt.Errorf("bucket %d: %d in the list out, %w", b, n, err)
					}
				}
				return nil
			})
			// Now all that was begun has been carried on, and nothing that had come before has come again.
			envs, err := other.Fetch(ctx, origin, 0, bachata.Limit{})
			if err != nil || len(envs) != n {
				t.Errorf("there are %d receipts, %v, want %d", len(envs), err, n)
			}
		})
	}
	// The same id put again finds its receipt remembered.
	if w := other.window(); w != time.Hour {
		t.Errorf("the dedupe window is %v", w)
	}
}

// A node whose clock is ahead does not take what another is just carrying for left behind: it would append that once more when the
// marker is gone.
func TestSweepAhead(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	o := Options{Addresses: c.Addrs()}
	q := open(t, o)
	var ahead atomic.Int64
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	sweeper := open(t, o)
	found, carried, swept := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var once [2]sync.Once
	q.stopAt = func(at hookPoint) bool {
		if at == hookPopped {
			<-found
		}
		return false
	}
	sweeper.stopAt = func(at hookPoint) bool {
		switch at {
		case hookPopped:
			once[0].Do(func() { close(found) })
			<-carried
		case hookReceived:
			once[1].Do(func() { close(swept) })
		}
		return false
	}
	ahead.Store(int64(3 * time.Second)) // after stopAt, for the race detector
	ctx := context.Background()
	m := bachata.Item{Channels: []string{"bob"}, ID: bachata.StringID("1"), Origin: "anna", From: "anna", Dest: "bob", Payload: []byte("{}")}
	if _, err := q.Put(ctx, []bachata.Item{m}); err != nil {
		t.Fatal(err)
	}
	if popped, err := q.PopDelivered(ctx, "bob", "bob", []bachata.Key{{ID: "1"}}); err != nil || !popped[0].Found {
		t.Fatalf("pop: %v, %v", popped, err)
	}
	q.awaitLeft()
	close(carried)
	<-swept
	if envs, err := q.Fetch(ctx, "anna", 0, bachata.Limit{}); err != nil || len(envs) != 1 {
		t.Errorf("there are %d receipts, %v, want 1", len(envs), err)
	}
}

// What was found, whose markers stay, leaves lists out together with what was popped.
func TestFoundAndPoppedLeave(t *testing.T) {
	t.Parallel()
	s := redistest.StartCluster(t, 1).Nodes[0]
	q := open(t, Options{Addresses: []string{s.Addr()}})
	var all []arrival
	for b := range 6 {
		lead := q.keys.lead(b)
		a := arrival{outKey: lead + ":out", bucket: b, part: []pending{{element: "receipt", time: q.now()}}}
		s.Do("RPUSH", a.outKey, "receipt")
		mark := lead + ":did:" + strconv.Itoa(b)
		s.Do("SET", mark, "")
		if b%2 == 0 {
			a.marks = []string{mark}
		}
		all = append(all, a)
	}
	q.removeOut(all)
	if keys := strings.Fields(s.Do("EVAL", "local all = redis.call('KEYS', '*') table.sort(all) return all", "0")); !slices.Equal(keys,
		[]string{"{1}:did:1", "{3}:did:3", "{5}:did:5"}) {
		t.Errorf("%q are left, want the markers of what was found", keys)
	}
}

// Where the short way fails, the script for all cases is not tried too: a server that hangs would be waited for twice.
func TestShortWayFails(t *testing.T) {
	t.Parallel()
	s := redistest.StartCluster(t, 1).Nodes[0]
	q := open(t, Options{Addresses: []string{s.Addr()}})
	fails := rueidis.NewLuaScript("return redis.error_reply('ERR it fails')")
	tried := rueidis.NewLuaScript("redis.call('SET', KEYS[1] .. 'tried', '')")
	q.scripts.settleNew, q.scripts.settle, q.scripts.receiveNew, q.scripts.receive = fails, tried, fails, tried
	ctx := context.Background()
	m := bachata.Item{Channels: []string{"bob"}, ID: bachata.StringID("1"), Origin: "anna", From: "anna", Dest: "bob", Payload: []byte("{}")}
	if res, err := q.Put(ctx, []bachata.Item{m}); err != nil || res[0][0] != bachata.Stored {
		t.Fatalf("put: %v, %v", res, err)
	}
	if popped, err := q.PopDelivered(ctx, "bob", "bob", []bachata.Key{{ID: "1"}}); err != nil || !popped[0].Found {
		t.Fatalf("pop: %v, %v", popped, err)
	}
	if keys := s.Do("KEYS", "*tried"); keys != "" {
		t.Errorf("after the short way has failed, the long one was tried: %s", keys)
	}
}

// Servers that do not say where they are, as a cluster behind a proxy may be told, are where they were asked.
func TestLocateUnknownEndpoint(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, "--cluster-preferred-endpoint-type", "unknown-endpoint")
	q := open(t, Options{Addresses: c.Addrs()[:1]})
	where, err := q.locate(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for b, slot := range bucketSlots() {
		if want := c.Nodes[c.Owner(slot)].Addr(); where.buckets[b] != want {
			t.Fatalf("bucket %d is at %s, want %s", b, where.buckets[b], want)
		}
	}
}
