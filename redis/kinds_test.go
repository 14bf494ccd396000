package redis_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/redis"
)

// Every kind of queue refuses what it can't store, because a key of another type is in the way or the memory limit is reached, and
// nothing else; and hands out what it has.
func TestKinds(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(o *redis.Options){
		"single":            func(*redis.Options) {},
		"simple":            func(o *redis.Options) { o.Simple = true },
		"shared":            func(o *redis.Options) { o.Shared = true },
		"shared, simple":    func(o *redis.Options) { o.Shared, o.Simple = true, true },
		"cluster":           func(o *redis.Options) { o.Cluster = true },
		"cluster of simple": func(o *redis.Options) { o.Cluster, o.Simple = true, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var o redis.Options
			change(&o)
			servers := []*redistest.Server{nil}
			in := func(string) *redistest.Server { return servers[0] } // who has a channel
			carl := "carl"
			if o.Cluster {
				c := redistest.StartCluster(t, 3)
				servers = c.Nodes
				in = func(channel string) *redistest.Server { return servers[c.Owner(bucketSlot(t, servers[0], channel))] }
				carl = bucketOf("carl") + carl
			} else {
				servers[0] = redistest.Start(t)
			}
			o.Addresses, o.Timeout = []string{servers[0].Addr()}, options().Timeout
			q := openQueue(t, o)
			put := func(items []bachata.Item, want ...bachata.PutStatus) {
				t.Helper()
				res, err := q.Put(t.Context(), items)
				var got []bachata.PutStatus
				for _, r := range res {
					got = append(got, r...)
				}
				if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("Put() = %v, %v, want %v", got, err, want)
				}
			}
			fetch := func(channel string, want int) []bachata.Key {
				t.Helper()
				envs, err := q.Fetch(t.Context(), channel, 0, bachata.Limit{})
				if err != nil || len(envs) != want {
					t.Errorf("%s has %d, %v, want %d", channel, len(envs), err, want)
				}
				keys := make([]bachata.Key, len(envs))
				for i, e := range envs {
					keys[i].Cursor = e.Cursor
				}
				return keys
			}

			in("carl").Do("SET", carl, "another type")
			put([]bachata.Item{message("carl", 0), message("dora", 0)}, bachata.Unavailable, bachata.Stored)
			put([]bachata.Item{message("dora", 1), message("carl", 0)}, bachata.Stored, bachata.Unavailable)
			in("carl").Do("DEL", carl)
			put([]bachata.Item{message("carl", 0)}, bachata.Stored)
			fetch("carl", 1)

			for _, s := range servers {
				s.Do("CONFIG", "SET", "maxmemory", "1mb")
			}
			if res, err := q.Put(t.Context(), messages("eve", 2)); !errors.Is(err, bachata.ErrUnavailable) {
				t.Errorf("Put at the memory limit: %v, %v, want ErrUnavailable", res, err)
			}
			keys := fetch("dora", 2)
			if popped, err := q.PopDelivered(t.Context(), "dora", "dora", keys); err != nil || popped[0].Found == o.Simple || popped[1].Found == o.Simple {
				t.Errorf("PopDelivered at the memory limit: %v, %v", popped, err)
			}
			for _, s := range servers {
				s.Do("CONFIG", "SET", "maxmemory", "0")
			}
			put(messages("eve", 2), bachata.Stored, bachata.Stored)
			fetch("eve", 2)
			if o.Simple {
				return
			}
			redistest.Eventually(t, "have the receipts", func() error { // on a cluster they have waited for room
				envs, err := q.Fetch(t.Context(), "of-dora", 0, bachata.Limit{})
				if err == nil && len(envs) != 2 {
					err = fmt.Errorf("of-dora has %d receipts, want 2", len(envs))
				}
				return err
			})
		})
	}
}
