package redis_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/redis"
)

// TestTwoNodes has two nodes watch one channel. Reliable: both are woken and read every pending message, the first
// confirmation wins on whichever node, and there is one receipt. Simple: they compete, and each text goes to one of them.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	servers := map[string][]string{
		"single":  {redistest.Start(t).Addr()},
		"cluster": redistest.StartCluster(t, 3).Addrs(),
	}
	for name, addresses := range servers {
		for _, simple := range []bool{false, true} {
			t.Run(fmt.Sprint(name, "/simple=", simple), func(t *testing.T) {
				t.Parallel()
				o := options(addresses...)
				o.Simple, o.Prefix = simple, prefix()
				a, b := two(t, o)
				nodes := []*redis.Queue{a, b}
				ctx := context.Background()
				const n = 50
				wakes := watchBoth(t, nodes)
				if _, err := a.Put(ctx, messages("bob", n)); err != nil {
					t.Fatal(err)
				}
				for _, woken := range wakes {
					<-woken
				}
				if simple {
					compete(t, nodes, n)
					return
				}
				var first [2][]bachata.Envelope
				for i, q := range nodes {
					first[i], _ = q.Fetch(ctx, "bob", 0, bachata.Limit{})
					if len(first[i]) != n {
						t.Fatalf("node %d reads %d of %d messages", i, len(first[i]), n)
					}
				}
				won := make([][2]bool, n)
				var wg sync.WaitGroup
				for i, q := range nodes {
					wg.Go(func() {
						for j, e := range first[i] {
							popped, err := q.PopDelivered(ctx, "bob", "bob", []bachata.Key{{Cursor: e.Cursor}})
							if err != nil {
								t.Error(err)
								return
							}
							won[j][i] = popped[0].Found
						}
					})
				}
				wg.Wait()
				for j, w := range won {
					if w[0] == w[1] {
						t.Errorf("message %d was taken by the nodes: %v, want one of them", j, w)
					}
				}
				redistest.Eventually(t, "see one receipt each", func() error {
					envs, err := b.Fetch(ctx, "of-bob", 0, bachata.Limit{})
					seen := map[string]int{}
					for _, e := range envs {
						seen[e.ID.Text]++
					}
					if err != nil || len(seen) != n || len(envs) != n {
						return fmt.Errorf("%d receipts of %d messages, want %d: %w", len(envs), len(seen), n, err)
					}
					return nil
				})
			})
		}
	}
}

// watchBoth watches bob on every node and waits until all are subscribed: until a message without an id wakes them, which
// it then takes off.
func watchBoth(t *testing.T, nodes []*redis.Queue) []chan struct{} {
	t.Helper()
	ctx := context.Background()
	var wakes []chan struct{}
	for _, q := range nodes {
		woken, stop, err := watch(q, "bob")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		wakes = append(wakes, woken)
	}
	redistest.Eventually(t, "be woken on both nodes", func() error {
		if _, err := nodes[0].Put(ctx, []bachata.Item{{Channels: []string{"bob"}, Payload: []byte("{}")}}); err != nil {
			return err
		}
		for i, woken := range wakes {
			if len(woken) == 0 {
				return fmt.Errorf("node %d is not woken", i)
			}
		}
		return nil
	})
	for {
		envs, err := nodes[0].Fetch(ctx, "bob", 0, bachata.Limit{})
		if err != nil {
			t.Fatal(err)
		}
		if len(envs) == 0 {
			break
		}
		for _, e := range envs {
			if _, err := nodes[0].PopDelivered(ctx, "bob", "bob", []bachata.Key{{Cursor: e.Cursor}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, woken := range wakes {
		select {
		case <-woken:
		default:
		}
	}
	return wakes
}

// compete fetches on both nodes at once until all is gone.
func compete(t *testing.T, nodes []*redis.Queue, n int) {
	t.Helper()
	var mu sync.Mutex
	var got []string
	var wg sync.WaitGroup
	for _, q := range nodes {
		wg.Go(func() {
			for {
				envs, err := q.Fetch(context.Background(), "bob", 0, bachata.Limit{Messages: 3})
				if err != nil {
					t.Error(err)
				}
				if len(envs) == 0 {
					return
				}
				mu.Lock()
				for _, e := range envs {
					got = append(got, string(e.Payload))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(got)
	if distinct := len(slices.Compact(slices.Clone(got))); len(got) != n || distinct != n {
		t.Errorf("the nodes took %d texts, %d different ones, of %d", len(got), distinct, n)
	}
}
