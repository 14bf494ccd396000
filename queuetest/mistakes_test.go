package queuetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

// mistake is a mutant, the clause that has to find it, and whether the model has to find it too.
type mistake struct {
	name   string
	clause string
	model  bool
	mutant func() mutant
}

func mistakes() []mistake {
	item := func(change func(m *bachata.Item)) func() mutant { return func() mutant { return eachItem(change) } }
	key := func(change func(k *bachata.Key)) func() mutant { return func() mutant { return eachKey(change) } }
	envelope := func(change func(e *bachata.Envelope) bool) func() mutant {
		return func() mutant { return eachEnvelope(change) }
	}
	answer := func(from, to bachata.PutStatus) func() mutant {
		return func() mutant { return eachAnswer(from, to) }
	}
	return []mistake{
		{"a batch is reversed", "order/batch", true, func() mutant {
			return mutant{put: func(q Queue, items []bachata.Item) ([]bachata.PutResult, error) {
				slices.Reverse(items)
				res, err := q.Put(background, items)
				slices.Reverse(res)
				return res, err
			}}
		}},
		{"the 30th message is lost", "order/one by one", true, lostMessage},
		{"only the first channel gets it", "order/several channels", true, func() mutant {
			return mutant{put: func(q Queue, items []bachata.Item) ([]bachata.PutResult, error) {
				want := slices.Clone(items)
				for i := range items {
					items[i].Channels = items[i].Channels[:min(1, len(items[i].Channels))]
				}
				res, err := q.Put(background, items)
				for i := range res {
					for len(res[i]) < len(want[i].Channels) {
						res[i] = append(res[i], res[i][0])
					}
				}
				return res, err
			}}
		}},
		{"resent ids are not known", "duplicate/pending", true, func() mutant {
			var n atomic.Int64
			return eachItem(func(m *bachata.Item) { m.ID.Text += fmt.Sprint(" ", n.Add(1)) })
		}},
		{"all origins are one", "duplicate/other origin", true, item(func(m *bachata.Item) { m.Origin = "anna" })},
		{"all dests are one", "duplicate/other dest", true, item(func(m *bachata.Item) { m.Dest = "bob" })},
		{"a resent id is stored", "duplicate/in one call", true, answer(bachata.Duplicate, bachata.Stored)},
		{"a full inbox is stored", "full/messages", true, answer(bachata.Full, bachata.Stored)},
		{"receipts are not made", "receipt/one", true, item(func(m *bachata.Item) { m.NoReceipt = true })},
		{"receipts are always made", "receipt/suppressed", true, item(func(m *bachata.Item) { m.NoReceipt = false })},
		{"a receipt is from the dest", "receipt/each channel", true, envelope(func(e *bachata.Envelope) bool {
			if e.Kind == bachata.KindReceipt {
				e.From = e.Dest
			}
			return true
		})},
		{"a receipt's time is in seconds", "receipt/one", true, envelope(func(e *bachata.Envelope) bool { e.Time /= 1000; return true })},
		{"numbers become strings", "receipt/spelling", true, envelope(func(e *bachata.Envelope) bool { e.ID.Number = false; return true })},
		{"numbers are put into another form", "receipt/spelling", false, item(func(m *bachata.Item) { m.ID.Text = strings.TrimSuffix(m.ID.Text, "0") })},
		{"repeated receipts are left out", "resend/delivered", true, noRepeats},
		{"From of a key is not looked at", "key/from", true, key(func(k *bachata.Key) { k.From = "" })},
		{"Dest of a key is not looked at", "key/dest", true, key(func(k *bachata.Key) { k.Dest = "" })},
		{"the cursor of a key is not looked at", "pop/by cursor", true, key(func(k *bachata.Key) { k.Cursor = 0 })},
		{"whatever is popped was there", "pop/twice", true, eachPop(func(p *bachata.Popped) { p.Found = true })},
		{"what was popped was not there", "pop/by cursor", true, eachPop(func(p *bachata.Popped) { p.Found = false })},
		{"a pop does not say where", "pop/by id answers with the cursor", true, eachPop(func(p *bachata.Popped) { p.Cursor = 0 })},
		{"everything is delivered", "check", true, checked(true)},
		{"nothing is delivered", "check", true, checked(false)},
		{"fetch starts at zero", "cursor/after", true, fetched(func(after *bachata.Cursor, _ *bachata.Limit) { *after = 0 })},
		{"fetch skips one", "cursor/after", true, fetched(func(after *bachata.Cursor, _ *bachata.Limit) { *after += 2 })},
		{"messages are not limited", "limit/messages", true, fetched(func(_ *bachata.Cursor, l *bachata.Limit) { l.Messages = 0 })},
		{"bytes are not limited", "limit/bytes", true, fetched(func(_ *bachata.Cursor, l *bachata.Limit) { l.Bytes = 0 })},
		{"gaps are not shown", "drop/oldest", true, envelope(func(e *bachata.Envelope) bool { return e.Kind != bachata.KindGap })},
		{"each gap counts one", "drop/count", true, envelope(func(e *bachata.Envelope) bool {
			if e.Kind == bachata.KindGap {
				e.Gap = bachata.Gap{Dropped: min(e.Gap.Dropped, 1), Expired: min(e.Gap.Expired, 1), Receipts: min(e.Gap.Receipts, 1)}
			}
			return true
		})},
		{"a payload ends at NUL", "payload/any bytes", false, item(func(m *bachata.Item) { m.Payload, _, _ = bytes.Cut(m.Payload, []byte{0}) })},
		{"a buffer is used again", "payload/kept", false, sameBuffer},
		{"channels are one in lower case", "names/channels", false, func() mutant {
			return mutant{
				put: func(q Queue, items []bachata.Item) ([]bachata.PutResult, error) {
					for i := range items {
						items[i].Channels = strings.Split(strings.ToLower(strings.Join(items[i].Channels, "\xfe")), "\xfe")
					}
					return q.Put(background, items)
				},
				fetch: func(q Queue, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
					return q.Fetch(background, strings.ToLower(channel), after, limit)
				},
			}
		}},
		{"nobody is woken", "watch/put", false, watched(func(func(bachata.Wake)) func(bachata.Wake) { return func(bachata.Wake) {} })},
		{"stop does not stop", "watch/stop", false, func() mutant {
			return mutant{watch: func(q Queue, channel string, wake func(bachata.Wake)) (func(), error) {
				_, err := q.Watch(channel, wake)
				return func() {}, err
			}}
		}},
		{"Prev is always the start", "watch/envelopes", true, watched(func(wake func(bachata.Wake)) func(bachata.Wake) {
			return func(w bachata.Wake) { wake(bachata.Wake{Envelopes: w.Envelopes}) }
		})},
		{"Prev is the envelope's own", "watch/envelopes", true, watched(func(wake func(bachata.Wake)) func(bachata.Wake) {
			return func(w bachata.Wake) {
				if len(w.Envelopes) > 0 {
					w.Prev = w.Envelopes[0].Cursor
				}
				wake(w)
			}
		})},
		{"Close does nothing", "close", false, func() mutant { return mutant{close: func(Queue) error { return nil }} }},
	}
}

// TestFindsMistakes lets the suite judge queues that have one mistake each.
func TestFindsMistakes(t *testing.T) {
	t.Parallel()
	for _, m := range mistakes() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			backend := Backend{New: func(tb testing.TB, o bachata.QueueOptions) *Store {
				return &Store{Open: func() (Queue, error) {
					q := m.mutant()
					q.Queue = memory.New(&o)
					tb.Cleanup(func() { _ = q.Queue.Close() }) // one mistake is not to close
					return &q, nil
				}}
			}}
			all := clauses()
			i := slices.IndexFunc(all, func(c clause) bool { return c.name == m.clause })
			if i < 0 {
				t.Fatalf("there is no clause %q", m.clause)
			}
			healthy := Backend{New: func(_ testing.TB, o bachata.QueueOptions) *Store {
				return &Store{Open: func() (Queue, error) { return memory.New(&o), nil }}
			}}
			if said := judge(t, func(tb testing.TB) { all[i].check(tb, healthy, bachata.Reliable) }); said != "" {
				t.Errorf("the clause %q condemns a queue without the mistake: %s", m.clause, said)
			}
			backend.patience = 20 * time.Millisecond
			if said := judge(t, func(tb testing.TB) { all[i].check(tb, backend, bachata.Reliable) }); said == "" {
				t.Errorf("the clause %q does not find the mistake", m.clause)
			}
			if m.model && !modelFinds(t, backend) {
				t.Error("the model does not find the mistake")
			}
		})
	}
}

func modelFinds(t *testing.T, backend Backend) bool {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 0))
		if said := judge(t, func(tb testing.TB) { newModelRun(tb, backend, rng).run() }); said != "" {
			return true
		}
	}
	return false
}

// judge runs a check and returns what it complained about.
func judge(t *testing.T, check func(tb testing.TB)) string {
	v := &verdictOf{TB: t}
	done := make(chan struct{})
	go func() { // Fatalf ends the goroutine
		defer close(done)
		defer func() {
			for _, f := range slices.Backward(v.cleanups) {
				f()
			}
		}()
		check(v)
	}()
	<-done
	return v.said
}

// verdictOf is a testing.TB that keeps what a check complains about to itself.
type verdictOf struct {
	testing.TB
	mu       sync.Mutex
	said     string
	cleanups []func()
}

func (v *verdictOf) Helper()             {}
func (v *verdictOf) Logf(string, ...any) {}
func (v *verdictOf) Cleanup(f func())    { v.cleanups = append(v.cleanups, f) }
func (v *verdictOf) Errorf(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.said += fmt.Sprintf(format, args...) + "\n"
}

func (v *verdictOf) Fatalf(format string, args ...any) {
	v.Errorf(format, args...)
	runtime.Goexit()
}
