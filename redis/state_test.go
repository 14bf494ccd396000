package redis_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
)

// The state of an inbox expires when that is empty, and never while it holds something.
func TestStateExpires(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	q := openQueue(t, options(s.Addr()))
	ctx := context.Background()
	next := 0
	put := func(count int) {
		t.Helper()
		items := make([]bachata.Item, count)
		for i := range items {
			items[i] = message("bob", next)
			next++
		}
		if _, err := q.Put(ctx, items); err != nil {
			t.Fatal(err)
		}
	}
	empty := func(channel string, most int) {
		t.Helper()
		for {
			envs, err := q.Fetch(ctx, channel, 0, bachata.Limit{Messages: most})
			if err != nil {
				t.Fatal(err)
			}
			if len(envs) == 0 {
				return
			}
			keys := make([]bachata.Key, len(envs))
			for i, e := range envs {
				keys[i].Cursor = e.Cursor
			}
			popped, err := q.PopDelivered(ctx, channel, channel, keys)
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range popped {
				if !p.Found || p.Cursor != keys[i].Cursor {
					t.Fatalf("pop %d of %s: %v", i, channel, popped)
				}
			}
		}
	}
	expires := func(channel string, want bool) {
		t.Helper()
		if ttl := s.Do("TTL", channel+"::state"); (ttl != "-1") != want {
			t.Errorf("TTL of the state of %s after %d messages is %s, want one: %v", channel, next, ttl, want)
		}
	}
	for _, count := range []int{1, 1, 2, 3, 1, 2} {
		for _, most := range []int{1, 100} {
			put(count)
			expires("bob", false)
			put(count)
			expires("bob", false)
			empty("bob", most)
			expires("bob", true)
			expires("of-bob", false)
			empty("of-bob", most)
			expires("of-bob", true)
		}
	}
}

// A list of a simple queue that went by itself, a day after the age of what it held, or was removed by hand, takes no room.
func TestSimpleListGone(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := options(s.Addr())
	o.Simple, o.InboxBytes = true, 100
	q := openQueue(t, o)
	m := bachata.Item{Channels: []string{"bob"}, Payload: make([]byte, 90)}
	for range 2 {
		if res, err := q.Put(context.Background(), []bachata.Item{m}); err != nil || res[0][0] != bachata.Stored {
			t.Fatalf("put into an inbox that holds nothing: %v, %v", res, err)
		}
		s.Do("DEL", "bob", "bob::ages")
	}
}

// Who lowers the cap on remembered ids has them forgotten in pieces, not by one call that holds up the server.
func TestCapLowered(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	// As KEYS.md says.
	s.Do("EVAL", `for i = 1, 25000 do
		local k, at = string.format('%012d', i), tonumber(ARGV[1])
		redis.call('HSET', ':known', k, struct.pack('>I6BH', at, 0, 0))
		redis.call('RPUSH', ':aging', struct.pack('>I6', at) .. k)
	end`, "0", strconv.FormatInt(time.Now().UnixMilli(), 10))
	o := options(s.Addr())
	o.DedupeCap, o.SweepEvery = 1000, time.Hour
	q := openQueue(t, o)
	for i, want := range []string{"14997", "1000", "1000"} { // the second finds an inbox that is nothing special, and asks for more
		if err := putter(q)(i); err != nil {
			t.Fatal(err)
		}
		if got := s.Do("LLEN", ":aging"); got != want {
			t.Errorf("%s ids are remembered after %d puts, want %s", got, i+1, want)
		}
	}
	if got := s.Do("HLEN", ":known"); got != "1000" {
		t.Errorf("there are %s records, want 1000", got)
	}
}
