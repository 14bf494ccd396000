package queuetest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bachata-go/bachata"
)

// simpleRun is the run of one seed in simple mode: the model is a list of texts for each channel.
type simpleRun struct {
	x     *fixture
	rng   *rand.Rand
	o     bachata.QueueOptions
	texts map[string][]string
	count int
	trace []string
}

func newSimpleRun(t testing.TB, b Backend, rng *rand.Rand) *simpleRun {
	o := bachata.QueueOptions{Simple: true, InboxMessages: 1 + rng.IntN(20), DropOldest: rng.IntN(2) == 0}
	return &simpleRun{
		x: newFixture(t, b, o, "the queue does what the plain model of it does"), rng: rng, o: o, texts: map[string][]string{},
	}
}

func (r *simpleRun) run() {
	for range modelSteps {
		var complaint string
		switch n := r.rng.IntN(10); {
		case n < 5:
			complaint = r.put()
		case n < 9:
			complaint = r.fetch()
		case r.x.info.Durable:
			r.trace = append(r.trace, "close and open")
			r.x.reopen()
		}
		if complaint != "" {
			r.x.Fatalf("contract broken: %s\n%s\n\t^ %s", r.x.clause, strings.Join(r.trace, "\n"), complaint)
		}
	}
}

func (r *simpleRun) put() string {
	var items []bachata.Item
	for range 1 + r.rng.IntN(5) {
		channels := modelChannels()
		r.rng.Shuffle(len(channels), func(i, j int) { channels[i], channels[j] = channels[j], channels[i] })
		r.count++
		m := message(fmt.Sprint(r.rng.IntN(10)), channels[:1+r.rng.IntN(3)]...)
		m.Payload = fmt.Appendf(nil, "text %d", r.count)
		items = append(items, m)
		r.trace = append(r.trace, fmt.Sprintf("put %q into %q", m.Payload, m.Channels))
	}
	for i, got := range r.x.put(items...) {
		for j, channel := range items[i].Channels {
			want := bachata.Stored
			if len(r.texts[channel]) >= r.o.InboxMessages && !r.o.DropOldest {
				want = bachata.Full
			}
			if got[j] != want {
				return fmt.Sprintf("Put of %q answered %v, want %v in %q", items[i].Payload, got, want, channel)
			}
			if got[j] == bachata.Stored {
				all := append(r.texts[channel], string(items[i].Payload))
				r.texts[channel] = all[max(0, len(all)-r.o.InboxMessages):]
			}
		}
	}
	return ""
}

func (r *simpleRun) fetch() string {
	channels := modelChannels()
	channel := channels[r.rng.IntN(len(channels))]
	limit := r.rng.IntN(5)
	var got []string
	for _, e := range r.x.fetchAfter(channel, bachata.Cursor(r.rng.IntN(9)), bachata.Limit{Messages: limit}) {
		if e.Kind != bachata.KindMessage {
			return "a simple queue has messages only, Fetch returned " + describe(e)
		}
		got = append(got, string(e.Payload))
	}
	r.trace = append(r.trace, fmt.Sprintf("fetch %d from %q, got %q", limit, channel, got))
	all := r.texts[channel]
	n := len(got)
	if n > len(all) {
		return fmt.Sprintf("%d texts wait", len(all))
	}
	if want := min(len(all), limit); n < want || limit == 0 && n < len(all) {
		return fmt.Sprintf("%d texts wait, Fetch with a limit of %d returned %d", len(all), limit, n)
	}
	r.texts[channel] = all[n:]
	return differ("texts of "+channel, got, all[:n])
}
