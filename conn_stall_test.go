package bachata_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
)

// A hook that blocks holds up its own session only: whoever comes behind it in the same batch of events, and whoever comes
// later, is served meanwhile; so is the next one who is not blocked when the hooks of many others are.
func TestBlockingHooks(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			blockingHooks(t, serve, storingCenter(t))
		})
	}
	t.Run("polled, on disk", func(t *testing.T) {
		t.Parallel()
		queue, err := disk.Open(t.TempDir(), &disk.Options{SegmentBytes: 8 << 20})
		if err != nil {
			t.Fatal(err)
		}
		blockingHooks(t, serve, centerOn(t, queue))
	})
}

func blockingHooks(t *testing.T, serve server, center *bachata.Center) {
	t.Helper()
	const n = 20
	entered, release := make(chan string, n), make(chan bool)
	letGo := sync.OnceFunc(func() { close(release) })
	url := serve(t, nil, func(h *bachata.Handler) {
		h.Center = center
		h.OnMessage = func(s *bachata.Session, _ *bachata.Message) error {
			if channel := s.Identity().Channel; strings.HasPrefix(channel, "slow") {
				entered <- channel
				<-release
			}
			return nil
		}
	})
	t.Cleanup(letGo) // before the handler waits for its connections
	as := func(channel string) *client { return ready(t, strings.Replace(url, "anna", channel, 1)) }
	var slow []*client
	for i := range n {
		slow = append(slow, as(fmt.Sprint("slow", i)))
	}
	quick := as("quick")
	cycle := func(id string) {
		t.Helper()
		quick.write(texts(fmt.Sprintf(`{"id":%q,"type":"direct","dest":"quick"}`, id)))
		for range 2 { // the message and its 100, in either order
			quick.nextText()
		}
		quick.write(texts(fmt.Sprintf(`{"type":200,"data":%q}`, id)))
		if got := quick.nextText(); !strings.HasPrefix(got, `{"type":300`) {
			t.Fatalf("quick was sent %s, want the 300", got)
		}
	}
	for i, c := range slow {
		c.write(texts(note))
		cycle(fmt.Sprint("a", i))
	}
	for range n {
		<-entered
	}
	cycle("b")
	letGo()
	for _, c := range slow {
		if got := c.text(); got != accepted {
			t.Errorf("when its hook returned, a client was answered %s, want %s", got, accepted)
		}
	}
	cycle("c")
}

// gatedQueue stores nothing, and lets nobody who waits for it go on before the gate is open.
type gatedQueue struct {
	voidQueue
	waits chan bool
	gate  chan bool
}

// Batch returns a batch of which Wait waits for the gate.
func (q gatedQueue) Batch() bachata.Batch { return gatedBatch{q} }

type gatedBatch struct{ gatedQueue }

// PopDelivered finds nothing.
func (gatedBatch) PopDelivered(_ context.Context, _, _ string, keys []bachata.Key) ([]bachata.Popped, error) {
	return make([]bachata.Popped, len(keys)), nil
}

// Wait waits for the gate.
func (q gatedBatch) Wait(context.Context) error {
	q.waits <- true
	<-q.gate
	return nil
}

// While the queue takes its time with what one connection has put, others are read from, and what they ask that is not
// stored is answered. When the queue has done it all have their answers, in their order.
func TestSlowQueue(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 5
			queue := gatedQueue{waits: make(chan bool, 2*n), gate: make(chan bool)}
			center := bachata.NewCenter(queue, nil)
			t.Cleanup(func() { _ = center.Close() })
			if err := center.AddRoute(bachata.Direct()); err != nil {
				t.Fatal(err)
			}
			url := serve(t, nil, func(h *bachata.Handler) { h.Center = center })
			open := sync.OnceFunc(func() { close(queue.gate) })
			t.Cleanup(open) // before the handler waits for its connections
			quick := ready(t, url)
			var slow []*client
			for range n {
				c := ready(t, url)
				slow = append(slow, c)
				c.write(texts(note))
				<-queue.waits
				c.write(texts(`{"type":1001}`)) // while the first is not answered: behind it
				quick.write(texts(`{"type":1001}`))
				if got := quick.text(); got != `{"type":1002}` {
					t.Fatalf("while the queue was waited for, a ping was answered %s", got)
				}
			}
			open()
			for i, c := range slow {
				if got := c.text(); got != accepted {
					t.Errorf("client %d was answered %s, want %s", i, got, accepted)
				}
				if got := c.text(); got != `{"type":1002}` {
					t.Errorf("client %d was answered %s second, want a 1002", i, got)
				}
			}
		})
	}
}

// Who sends to many is told of all who confirm, also if a hook blocks in the batch of events in which they do.
func TestReceiptsBesideABlockingHook(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 40
			center := storingCenter(t)
			members := make([]string, n)
			for i := range members {
				members[i] = fmt.Sprint("member", i)
			}
			if err := center.AddRoute(bachata.Group(func(context.Context, string, *bachata.Session) ([]string, error) {
				return members, nil
			}, "group")); err != nil {
				t.Fatal(err)
			}
			release := make(chan bool)
			letGo := sync.OnceFunc(func() { close(release) })
			url := serve(t, nil, func(h *bachata.Handler) {
				h.Center = center
				h.OnMessage = func(s *bachata.Session, _ *bachata.Message) error {
					if s.Identity().Channel == "slow" {
						<-release
					}
					return nil
				}
			})
			t.Cleanup(letGo) // before the handler waits for its connections
			as := func(channel string) *client { return ready(t, strings.Replace(url, "anna", channel, 1)) }
			anna, slow := as("anna"), as("slow")
			var clients []*client
			for _, m := range members {
				clients = append(clients, as(m))
			}
			anna.write(texts(`{"id":"1","type":"group","dest":"all"}`))
			for _, c := range clients {
				c.nextText()
			}
			for i, c := range clients {
				c.write(texts(`{"type":200,"data":"1"}`))
				if i == n/2 {
					slow.write(texts(note))
				}
			}
			told := map[string]bool{}
			for range n + 1 { // the 100 too
				told[anna.nextText()] = true
			}
			if len(told) != n+1 {
				t.Errorf("anna was told %d different things, want the 100 and %d receipts", len(told), n)
			}
		})
	}
}
