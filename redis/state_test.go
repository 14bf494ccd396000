package redis_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
)

// What an emptied inbox leaves behind goes by itself, and that of an inbox which holds something never does.
func TestStateGoes(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := options(s.Addr())
	o.SweepEvery = 20 * time.Millisecond
	var ahead atomic.Int64
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	q := openQueue(t, o)
	ctx := context.Background()
	next := 0
	put := func(count int) {
		t.Helper()
		items := make([]bachata.Item, count)
		for i := range items {
			items[i] = message("bob", next)
			items[i].NoReceipt = next == 0 // the inbox of the origin gets its state from a receipt that is not the first
			next++
		}
		if _, err := q.Put(ctx, items); err != nil {
			t.Fatal(err)
		}
	}
	empty := func(channel string) {
		t.Helper()
		envs, err := q.Fetch(ctx, channel, 0, bachata.Limit{})
		if err != nil || len(envs) == 0 {
			t.Fatalf("inbox of %s: %v, %v", channel, envs, err)
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
	goes := func(channel string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); s.Do("PTTL", channel+"::state") == "-1" || s.Do("ZSCORE", ":due", channel) != ""; {
			if time.Now().After(end) {
				t.Fatalf("the state of %s stays, or is still to be looked through", channel)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	expires := func(key string) bool { return s.Do("PTTL", key) != "-1" }

	for _, count := range []int{1, 1, 2, 3} {
		put(count)
		empty("bob")
	}
	empty("of-bob")
	put(1)
	ahead.Add(int64(3 * time.Hour))
	goes("of-bob")
	if expires("bob::state") {
		t.Error("the state of an inbox that holds something expires")
	}
	for _, count := range []int{1, 2} {
		put(count)
		empty("bob")
	}
	if expires("of-bob::state") {
		t.Error("the state of an inbox that holds receipts again expires")
	}
	ahead.Add(int64(24 * time.Hour))
	goes("bob")
	put(1)
	if expires("bob::state") {
		t.Error("the state of an inbox that holds something again expires")
	}
}
