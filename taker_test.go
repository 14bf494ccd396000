package bachata_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

// fetchCounter is the memory queue, which hands over what it can, with its Fetches counted.
type fetchCounter struct {
	*memory.Queue
	fetches atomic.Int64
}

func (q *fetchCounter) Fetch(ctx context.Context, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
	q.fetches.Add(1)
	return q.Queue.Fetch(ctx, channel, after, limit)
}

func bubbleOnSimple(t *testing.T, test func(t *testing.T, c *bachata.Center, q *fetchCounter)) {
	t.Helper()
	wrap := func(inner bachata.Queue) *fetchCounter { return &fetchCounter{Queue: inner.(*memory.Queue)} }
	bubbleIn(t, &memory.Options{Simple: true}, nil, wrap, test)
}

// A message to who is connected goes from the put to the sockets; one to who is not waits for them.
func TestSimpleMessageIsHandedOver(t *testing.T) {
	t.Parallel()
	bubbleOnSimple(t, func(t *testing.T, c *bachata.Center, q *fetchCounter) {
		if err := c.AddRoute(bachata.Group(func(context.Context, string, *bachata.Session) ([]string, error) {
			return []string{"bob", "carl", "dora"}, nil
		}, "group")); err != nil {
			t.Fatal(err)
		}
		anna := connect(t, c, "anna")
		phone, laptop, dora := connect(t, c, "bob"), connect(t, c, "bob"), connect(t, c, "dora")
		before := q.fetches.Load()
		anna.send(`{"id":"m1","type":"group","dest":"all"}`)
		anna.expect(`{"type":100,"data":"m1"}`)
		const at = `{"id":"m1","type":"group","dest":"all","from":"anna"}`
		for _, p := range []*peer{phone, laptop, dora} {
			p.expect(at)
		}
		if n := q.fetches.Load() - before; n != 0 {
			t.Errorf("%d fetches for what could be handed over", n)
		}
		connect(t, c, "carl").expect(at)
		connect(t, c, "carl").expect()
		connect(t, c, "bob").expect()
	})
}

// What several senders put at once comes once each, and each sender's in order, whether it is handed over or fetched.
func TestSimpleOrder(t *testing.T) {
	t.Parallel()
	const senders, each = 8, 300
	bubbleOnSimple(t, func(t *testing.T, c *bachata.Center, q *fetchCounter) {
		bob := connect(t, c, "bob")
		for i := range senders {
			p := connect(t, c, fmt.Sprint("sender", i))
			go func() {
				for n := range each {
					texts := [][]byte{fmt.Appendf(nil, `{"id":"%d","type":"direct","dest":"bob"}`, 2*n)}
					if n%3 == 0 {
						texts = append(texts, fmt.Appendf(nil, `{"id":"%d","type":"direct","dest":"bob"}`, 2*n+1))
					}
					p.session.Receive(texts)
				}
			}()
		}
		synctest.Wait()
		got, last := bob.take(), map[string]int{}
		for _, text := range got {
			var id int
			_, from, _ := strings.Cut(text, `"from":`)
			if _, err := fmt.Sscanf(text, `{"id":"%d"`, &id); err != nil {
				t.Fatalf("bob was written %s: %v", text, err)
			}
			if before, ok := last[from]; ok && id <= before {
				t.Errorf("bob was written %d of %s behind %d", id, from, before)
			}
			last[from] = id
		}
		if want := senders * (each + each/3); len(got) != want {
			t.Errorf("bob was written %d messages of %d", len(got), want)
		}
	})
}

// What nobody reads is left in the queue.
func TestSimpleMessageIsLeftInTheQueue(t *testing.T) {
	t.Parallel()
	bubbleOnSimple(t, func(t *testing.T, c *bachata.Center, q *fetchCounter) {
		slowly := &slow{socket: &socket{}}
		var err error
		if slowly.session, err = c.Attach(slowly, bachata.Identity{Channel: "bob"}); err != nil {
			t.Fatal(err)
		}
		anna := connect(t, c, "anna")
		long := fmt.Sprintf(`{"id":"1","type":"direct","dest":"bob","data":"%s"}`, strings.Repeat("x", 60<<10))
		for range 100 {
			anna.send(long)
		}
		if kept := slowly.Buffered(); kept > 512<<10 {
			t.Errorf("%d bytes were written to a socket whose client reads nothing", kept)
		}
		left, err := q.Fetch(t.Context(), "bob", 0, bachata.Limit{})
		if err != nil || len(left) < 90 {
			t.Errorf("%d messages are left in the queue, %v", len(left), err)
		}
	})
}
