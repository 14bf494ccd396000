package queuetest

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
)

// The flags of the model test; the environment (QUEUETEST_SEEDS, QUEUETEST_SEED) serves where a run has packages that
// don't know them.
var (
	seedsFlag = flag.Int("queuetest.seeds", 0, "number of seeds of the model test (default 200, 20 with -short)")
	seedFlag  = flag.Uint64("queuetest.seed", 0, "the only seed of the model test to run")
)

const modelSteps = 120

// runModel compares the queue with the model, for each seed on a fresh store.
func runModel(t *testing.T, b Backend, mode bachata.Mode) {
	first, n := seeds()
	for seed := first; seed < first+n; seed++ {
		ok := t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			if mode == bachata.Simple {
				newSimpleRun(t, b, rng).run()
			} else {
				newModelRun(t, b, rng).run()
			}
		})
		if !ok {
			t.Fatalf("the model test failed; run it again with -queuetest.seed=%d", seed)
		}
	}
}

func seeds() (first, n uint64) {
	env := func(name string) uint64 {
		v, _ := strconv.ParseUint(os.Getenv(name), 10, 64)
		return v
	}
	if seed := cmp.Or(*seedFlag, env("QUEUETEST_SEED")); seed != 0 {
		return seed, 1
	}
	n = 200
	if testing.Short() {
		n = 20
	}
	return 1, cmp.Or(uint64(*seedsFlag), env("QUEUETEST_SEEDS"), n)
}

// modelRun is the run of one seed.
type modelRun struct {
	x        *fixture
	b        Backend
	m        *model
	rng      *rand.Rand
	profile  profile
	trace    []string
	sent     []bachata.Item
	payloads int                           // how many payload has made
	fetched  map[string][]bachata.Envelope // as they were at the last comparison
	old      []bachata.Cursor              // of anything, at any time

	mu    sync.Mutex
	wakes map[string][]bachata.Wake // since the last comparison
}

// profile is what a seed tries: one combination of limits, and what would make its outcome depend on the order of
// receipts, which is the queue's to choose, is left out of it.
type profile struct {
	name   string
	single bool // one item, one channel, one key a call
	time   time.Duration
	flight bool // crashes meet calls in flight
	change func(rng *rand.Rand, o *bachata.QueueOptions)
}

func profiles() []profile {
	return []profile{
		{name: "plain", flight: true, time: time.Minute},
		{name: "in flight", flight: true},
		{name: "full", change: func(rng *rand.Rand, o *bachata.QueueOptions) { o.InboxMessages = 1 + rng.IntN(10) }},
		{name: "drop", change: func(rng *rand.Rand, o *bachata.QueueOptions) { o.InboxMessages, o.DropOldest = 1+rng.IntN(10), true }},
		{name: "bytes", change: func(rng *rand.Rand, o *bachata.QueueOptions) {
			o.InboxBytes, o.DropOldest = 200+rng.IntN(2000), rng.IntN(2) == 0
		}},
		{name: "receipts", single: true, change: func(rng *rand.Rand, o *bachata.QueueOptions) {
			o.Receipts, o.DropOldest = 1+rng.IntN(8), rng.IntN(2) == 0
			o.InboxMessages = 2 + rng.IntN(10)
		}},
		{name: "aging", time: 4 * time.Minute, change: func(rng *rand.Rand, o *bachata.QueueOptions) {
			o.InboxAge = uneven(rng, 20)
			o.InboxMessages, o.DropOldest = 3+rng.IntN(20), rng.IntN(2) == 0
		}},
		{name: "aging receipts", single: true, time: 4 * time.Minute, change: func(rng *rand.Rand, o *bachata.QueueOptions) {
			o.ReceiptAge = uneven(rng, 20)
		}},
	}
}

// uneven returns 2 to most minutes and a half. Time goes on by whole minutes, so that nothing happens on the border.
func uneven(rng *rand.Rand, most int) time.Duration {
	return time.Duration(2+rng.IntN(most-1))*time.Minute + 30*time.Second
}

func newModelRun(t testing.TB, b Backend, rng *rand.Rand) *modelRun {
	all := profiles()
	r := &modelRun{b: b, rng: rng, profile: all[rng.IntN(len(all))], fetched: map[string][]bachata.Envelope{}, wakes: map[string][]bachata.Wake{}}
	o := bachata.QueueOptions{
		InboxMessages: 1000, InboxBytes: 1 << 20, InboxAge: 1000 * time.Hour, Receipts: 1000, ReceiptAge: 1000 * time.Hour,
		Dedupe: uneven(rng, 30), SweepEvery: 5 * time.Millisecond,
	}
	if r.profile.change != nil {
		r.profile.change(rng, &o)
	}
	r.x = newFixture(t, b, o, "the queue does what the plain model of it does")
	r.m = newModel(o, r.x.store.Now)
	r.watchAll()
	return r
}

func (r *modelRun) run() {
	for range modelSteps {
		complaint := r.step()
		if complaint == "" {
			complaint = r.compare(false)
		}
		if complaint != "" {
			r.x.Fatalf("contract broken: %s\nprofile %s\n%s\n\t^ %s", r.x.clause, r.profile.name, strings.Join(r.trace, "\n"), complaint)
		}
	}
}

func (r *modelRun) note(format string, args ...any) {
	const most = 60
	if r.trace = append(r.trace, fmt.Sprintf(format, args...)); len(r.trace) > most {
		r.trace = r.trace[1:]
	}
}

// modelChannels are the inboxes of the model test; two of them would be one if their names were joined carelessly.
func modelChannels() []string { return []string{"a", "a:wait", "b", "c", "{c}"} }

// compare compares all inboxes with the model. What a queue may do later it is given time for.
func (r *modelRun) compare(anyOrder bool) string {
	check := func() string {
		for _, channel := range modelChannels() {
			got := r.x.fetch(channel)
			if c := r.m.inbox(channel).match(got, anyOrder); c != "" {
				return fmt.Sprintf("inbox of %s: %s; it has %s", channel, c, lines(describePlaces(got)))
			}
			r.fetched[channel] = got
			for _, e := range got {
				r.old = append(r.old, e.Cursor)
			}
		}
		return ""
	}
	complaint := check()
	if complaint != "" && (!r.x.info.Atomic || r.profile.time > 0) {
		complaint = r.x.poll(check)
	}
	if complaint != "" {
		return complaint
	}
	return r.checkWakes()
}

func (r *modelRun) watchAll() {
	for _, channel := range modelChannels() {
		r.x.watch(channel, func(w bachata.Wake) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if len(w.Envelopes) > 0 {
				r.wakes[channel] = append(r.wakes[channel], w)
			}
		})
	}
}

// checkWakes holds the wake-ups so far to what was fetched since. One of something that nobody ever fetched is passed over.
func (r *modelRun) checkWakes() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for channel, wakes := range r.wakes {
		for _, w := range wakes {
			for _, e := range w.Envelopes {
				f, known := r.m.inbox(channel).history[e.Cursor]
				if known && (describe(e) != f.text || w.Prev < f.after || w.Prev >= e.Cursor) {
					return fmt.Sprintf("channel %s was woken with Prev %d and %s at %d; there stands %s, after %d",
						channel, w.Prev, describe(e), e.Cursor, f.text, f.after)
				}
				w.Prev = e.Cursor
			}
		}
	}
	clear(r.wakes)
	return ""
}
