package bachata_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bachata-go/bachata"
)

// holding is a route that waits.
type holding struct{ release chan bool }

func (r *holding) Process(_ ctx, m *bachata.Message, _ *bachata.Session) (bachata.Decision, error) {
	if m.Type() != "slow" {
		return bachata.Pass(), nil
	}
	<-r.release
	return bachata.To("carl"), nil
}

// Behind 256 messages to bob, which are stored, one is read whose route waits. Bob must have what is stored, and what
// others send him meanwhile.
func TestHookHoldsUpNoReceiver(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		slow := &holding{release: make(chan bool)}
		if err := c.AddRoute(slow); err != nil {
			t.Fatal(err)
		}
		anna, bob, eve := connect(t, c, "anna"), connect(t, c, "bob"), connect(t, c, "eve")
		var texts [][]byte
		for i := range 256 {
			texts = append(texts, fmt.Appendf(nil, `{"id":%d,"type":"direct","dest":"bob"}`, i))
		}
		texts = append(texts, []byte(`{"id":"s","type":"slow"}`))
		go anna.session.Receive(texts)
		synctest.Wait()
		if n := len(bob.take()); n != 256 {
			t.Errorf("bob was written %d of 256 stored messages while a route waits behind them", n)
		}
		eve.send(`{"id":"e","type":"direct","dest":"bob"}`)
		if got := eve.take(); len(got) != 1 {
			t.Errorf("eve was answered %q", got)
		}
		if n := len(bob.take()); n != 1 {
			t.Errorf("bob was written %d messages of eve's while anna's route waits, want 1", n)
		}
		slow.release <- true
		synctest.Wait()
	})
}

// unsafeQueue is a Batcher whose Wait fails: what its batches popped is still there.
type unsafeQueue struct{ *faultyQueue }

type unsafeBatch struct {
	q  unsafeQueue
	do []func(ctx) error
}

func (q unsafeQueue) Batch() bachata.Batch { return &unsafeBatch{q: q} }

func (b *unsafeBatch) Put(c ctx, items []bachata.Item) ([]bachata.PutResult, error) {
	return b.q.faultyQueue.Put(c, items)
}

func (b *unsafeBatch) PopDelivered(_ ctx, channel, by string, keys []bachata.Key) ([]bachata.Popped, error) {
	popped := make([]bachata.Popped, len(keys))
	for i, k := range keys {
		popped[i] = bachata.Popped{Found: true, Cursor: k.Cursor}
	}
	b.do = append(b.do, func(c ctx) error {
		_, err := b.q.faultyQueue.PopDelivered(c, channel, by, keys)
		return err
	})
	return popped, nil
}

func (b *unsafeBatch) Wait(c ctx) error {
	do := b.do
	b.do = nil
	for _, f := range do {
		if err := f(c); err != nil {
			return err
		}
	}
	return nil
}

// What was popped in a batch whose Wait failed once is popped again.
func TestPopAgainWhenWaitFailed(t *testing.T) {
	t.Parallel()
	bubbleIn(t, nil, nil, func(inner bachata.Queue) unsafeQueue {
		return unsafeQueue{&faultyQueue{Queue: inner}}
	}, func(t *testing.T, c *bachata.Center, q unsafeQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(hi)
		anna.take()
		if n := len(bob.take()); n != 1 {
			t.Fatalf("bob was written %d messages, want 1", n)
		}
		q.popFails.Store(true)
		bob.send(`{"type":200,"data":"1"}`)
		q.popFails.Store(false)
		time.Sleep(2 * time.Minute) // the bubble's
		synctest.Wait()
		if got := anna.take(); len(got) != 1 {
			t.Errorf("anna was written %q, want a 300: bob's 200 was forgotten when Wait failed", got)
		}
		if n, _ := q.CheckDelivered(t.Context(), "bob", bachata.Key{ID: "1"}); !n {
			t.Error("the message is still in bob's inbox, and nobody tries to pop it")
		}
	})
}
