package redis_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/redis"
)

// Requests of many callers are carried out by one call of a script. What is wrong with the inbox of one is no concern of
// the others, and each gets the answer that is his.
func TestGathered(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	q := openQueue(t, options(s.Addr()))
	ctx := context.Background()
	const channels, rounds = 96, 20
	name := func(i int) string { return fmt.Sprint("c", i) }
	for i := range channels {
		if err := passThrough(ctx, q, name(i), 0); err != nil {
			t.Fatal(err)
		}
		spoil(s, name(i), i%8)
	}
	var wg sync.WaitGroup
	for i := range channels {
		wg.Go(func() {
			for id := 1; id <= rounds; id++ {
				if err := passThrough(ctx, q, name(i), id); err != nil && i%8 < 4 {
					t.Errorf("round %d on %s: %v", id, name(i), err)
					return
				}
			}
		})
	}
	wg.Wait()
	for i := range channels {
		if i%8 > 2 {
			continue
		}
		receipts, err := q.Fetch(ctx, "of-"+name(i), 0, bachata.Limit{})
		if err != nil || len(receipts) != rounds+1 {
			t.Errorf("%d receipts for %s, want %d (%v)", len(receipts), name(i), rounds+1, err)
		}
		for j, e := range receipts {
			if e.Kind != bachata.KindReceipt || e.ID.Text != fmt.Sprint(j) || e.From != name(i) || e.Dest != name(i) {
				t.Errorf("receipt %d for %s: %+v", j, name(i), e)
			}
		}
	}
}

// spoil puts something in the way of an inbox: from 4 on so that nothing gets through.
func spoil(s *redistest.Server, channel string, how int) {
	switch how {
	case 1: // the key of a message
		s.Do("SET", channel+":7", "another type")
	case 2: // trash among what is handed out
		s.Do("LPUSH", channel+":wait", "trash", channel+":gone")
	case 3: // where the receipts go
		s.Do("DEL", "of-"+channel)
		s.Do("SET", "of-"+channel, "another type")
	case 4:
		s.Do("DEL", channel+"::state")
		s.Do("RPUSH", channel+"::state", "another type")
	case 5:
		s.Do("SET", channel, "another type")
	case 6:
		s.Do("SET", channel+":wait", "another type")
	}
}

// passThrough puts a message, fetches it and confirms it. Putting it again changes nothing.
func passThrough(ctx context.Context, q *redis.Queue, channel string, id int) error {
	for _, want := range []bachata.PutStatus{bachata.Stored, bachata.Duplicate} {
		got, err := q.Put(ctx, []bachata.Item{message(channel, id)})
		if err != nil || got[0][0] != want {
			return fmt.Errorf("put %d: %v, %w, want %v", id, got, err, want)
		}
	}
	envs, err := q.Fetch(ctx, channel, 0, bachata.Limit{Messages: 1})
	if err != nil || len(envs) != 1 || envs[0].ID.Text != fmt.Sprint(id) || string(envs[0].Payload) != string(message(channel, id).Payload) {
		return fmt.Errorf("fetch %d: %+v, %w", id, envs, err)
	}
	popped, err := q.PopDelivered(ctx, channel, channel, []bachata.Key{{Cursor: envs[0].Cursor}})
	if err != nil || !popped[0].Found || popped[0].Cursor != envs[0].Cursor {
		return fmt.Errorf("pop %d: %v, %w", id, popped, err)
	}
	return nil
}
