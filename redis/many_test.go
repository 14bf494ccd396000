package redis_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/redis"
)

// many is more than Lua passes to one command.
const many = 8500

// toMany is a message to that many channels.
func toMany(id string) bachata.Item {
	m := bachata.Item{ID: bachata.StringID(id), Origin: "anna", From: "anna", Dest: "team", Payload: []byte(`{"id":"` + id + `"}`)}
	for i := range many {
		m.Channels = append(m.Channels, fmt.Sprint("m", i))
	}
	return m
}

// A group may have as many members as it likes, also if something is to be said or done of each of them at once.
func TestManyMembers(t *testing.T) {
	t.Parallel()
	servers := map[string][]string{
		"single":  {redistest.Start(t).Addr()},
		"cluster": redistest.StartCluster(t, 3).Addrs(),
	}
	for name, addresses := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ahead atomic.Int64
			o := options(addresses...)
			o.InboxMessages, o.SweepEvery, o.Timeout = 1, time.Hour, 20*time.Second // one call does much, and the machine may be busy
			o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			q := openQueue(t, o)
			put := func(m bachata.Item, first, last bachata.PutStatus) {
				t.Helper()
				res, err := q.Put(context.Background(), []bachata.Item{m})
				if err != nil || res[0][0] != first || res[0][len(m.Channels)-1] != last {
					t.Fatalf("put %s to %d channels: %v, want %v to %v", m.ID, len(m.Channels), err, first, last)
				}
			}
			silent := toMany("1")
			silent.NoReceipt = true
			put(silent, bachata.Stored, bachata.Stored)

			// Now all are full but one, which the sender is told of each, and again when it sends that again.
			m := toMany("2")
			m.Channels = append(m.Channels, "free")
			put(m, bachata.Full, bachata.Stored)
			want(t, q, "free", "2")
			wantDropped(t, q, many)
			put(m, bachata.Duplicate, bachata.Duplicate)
			wantDropped(t, q, 2*many)

			if name == "cluster" { // where each bucket is asked for itself
				return
			}
			// In all of them something has expired when the next one comes.
			ahead.Store(int64(31 * 24 * time.Hour))
			put(toMany("3"), bachata.Stored, bachata.Stored)
		})
	}
}

// wantDropped looks for n notices for the sender.
func wantDropped(t *testing.T, q *redis.Queue, n int) {
	t.Helper()
	envs, err := q.Fetch(context.Background(), "anna", 0, bachata.Limit{})
	if err != nil || len(envs) != n {
		t.Fatalf("the sender has %d notices (%v), want %d", len(envs), err, n)
	}
	for i, e := range envs {
		if e.Outcome != bachata.OutcomeDropped || e.From != fmt.Sprint("m", i%many) {
			t.Fatalf("notice %d is %+v", i, e)
		}
	}
}

// A wait list may be as long as nodes of the original make it, which have no window.
func TestManySharedWait(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var ahead atomic.Int64
	o := options(s.Addr())
	o.Shared, o.SweepEvery = true, time.Hour
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	q := openQueue(t, o)
	ctx := context.Background()
	const many = many/2 + 1 // two arguments for each
	items := messages("bob", many)
	for i := range items {
		items[i].Origin, items[i].From = "anna", "anna"
	}
	if _, err := q.Put(ctx, items); err != nil {
		t.Fatal(err)
	}
	s.Do("RENAME", "bob", "bob:wait") // handed out by one of theirs
	envs, err := q.Fetch(ctx, "bob", 0, bachata.Limit{})
	if err != nil || len(envs) != many {
		t.Fatalf("fetched %d of %d: %v", len(envs), many, err)
	}
	ahead.Store(int64(31 * 24 * time.Hour))
	gaps, err := q.Fetch(ctx, "bob", 0, bachata.Limit{})
	if err != nil || len(gaps) == 0 || gaps[0].Kind != bachata.KindGap {
		t.Fatalf("%d gaps when all have expired: %v", len(gaps), err)
	}
	told, err := q.Fetch(ctx, "anna", 0, bachata.Limit{})
	if err != nil || len(told) != many {
		t.Fatalf("the sender was told of %d of %d: %v", len(told), many, err)
	}
}
