package queuetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
)

// longPatience is how long a test waits for what a queue may do later.
const longPatience = 20 * time.Second

// fixture is an open queue on a fresh store, for the check of one clause.
type fixture struct {
	testing.TB
	ctx    context.Context
	clause string
	mode   bachata.Mode
	clock  *clock
	store  *Store
	q      Queue
	info   bachata.Info // as stated after the first Open
	ids    int          // how many nextID has returned

	patience time.Duration
}

func newFixture(t testing.TB, b Backend, o bachata.QueueOptions, clause string) *fixture {
	t.Helper()
	x := &fixture{TB: t, clause: clause, clock: newClock(), patience: cmp.Or(b.patience, longPatience)}
	if o.Simple {
		x.mode = bachata.Simple
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	x.ctx = ctx
	o.Now = x.clock.Now
	x.store = b.New(t, o)
	if x.store.Now == nil {
		x.store.Now = x.clock.Now
	}
	if x.store.Advance == nil {
		x.store.Advance = x.clock.Advance
	}
	t.Cleanup(func() {
		cancel()
		if x.q != nil {
			_ = x.q.Close() // a queue that was made to fail may say so here
		}
	})
	x.open()
	x.info = x.q.Info()
	return x
}

func (x *fixture) open() {
	x.Helper()
	q, err := x.store.Open()
	if err != nil {
		x.Fatalf("open: %v", err)
	}
	x.q = q
	if got := q.Info().Mode; got != x.mode {
		x.Fatalf("Info().Mode is %v, the store was made for %v", got, x.mode)
	}
}

// reopen closes the queue in good order and opens it again.
func (x *fixture) reopen() {
	x.Helper()
	if err := x.q.Close(); err != nil {
		x.broken("Close returned %v", err)
	}
	x.open()
}

// crash ends the queue without closing it and opens what is left.
func (x *fixture) crash() {
	x.Helper()
	x.store.Crash()
	_ = x.q.Close() // belongs to the past, only its goroutines matter
	x.open()
}

// unable says what the backend lacks for a check.
func (x *fixture) unable(b Backend, n needs) string {
	switch {
	case n&needClock != 0 && b.NoClock:
		return "the clock cannot be turned"
	case n&needDurable != 0 && !x.info.Durable:
		return "the queue is not durable"
	case n&needCrash != 0 && (!x.info.Durable || x.store.Crash == nil):
		return "the store cannot crash and be durable"
	case n&needFail != 0 && x.store.Fail == nil:
		return "the store cannot fail"
	case n&needAtomic != 0 && !x.info.Atomic:
		return "the queue is not atomic"
	}
	if _, ok := x.q.(bachata.Batcher); n&needBatch != 0 && !ok {
		return "the queue has no batches"
	}
	return ""
}

// broken reports that the queue does not keep the clause.
func (x *fixture) broken(format string, args ...any) {
	x.Helper()
	x.Errorf("contract broken: %s\n\t%s", x.clause, fmt.Sprintf(format, args...))
}

// mustHold ends the test if a call that the check builds on did not work.
func (x *fixture) mustHold(err error, doing string) {
	x.Helper()
	if err != nil {
		x.Fatalf("contract broken: %s\n\t%s: %v", x.clause, doing, err)
	}
}

// soon checks what has to be true now, or a little later if the queue commits in more than one step.
// complaint returns "" when all is well.
func (x *fixture) soon(complaint func() string) {
	x.Helper()
	if !x.info.Atomic {
		x.later(complaint)
	} else if c := complaint(); c != "" {
		x.broken("%s", c)
	}
}

// later checks what has to become true by itself.
func (x *fixture) later(complaint func() string) {
	x.Helper()
	if c := x.poll(complaint); c != "" {
		x.broken("after %v: %s", x.patience, c)
	}
}

// poll repeats complaint until it returns "" or patience ends, and returns what it said last.
func (x *fixture) poll(complaint func() string) string {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(x.patience); ; <-tick.C {
		c := complaint()
		if c == "" || time.Now().After(deadline) {
			return c
		}
	}
}

// describe spells an envelope in one line, as the checks compare it: a message by its id, or by its text, without the
// dots that the model test fills texts up with, if it has none.
func describe(e bachata.Envelope) string {
	switch e.Kind {
	case bachata.KindMessage:
		if e.ID.IsZero() {
			return strings.TrimRight(string(e.Payload), ".")
		}
		return e.ID.String()
	case bachata.KindReceipt:
		code := map[bachata.Outcome]int{
			bachata.OutcomeDelivered: 300, bachata.OutcomeExpired: 480, bachata.OutcomeDropped: 481,
		}[e.Outcome]
		return fmt.Sprintf("%d %s from %s dest %s", code, e.ID, e.From, e.Dest)
	}
	return fmt.Sprintf("gap dropped=%d expired=%d receipts=%d", e.Gap.Dropped, e.Gap.Expired, e.Gap.Receipts)
}

func describeAll(envs []bachata.Envelope) []string {
	all := make([]string, len(envs))
	for i, e := range envs {
		all[i] = describe(e)
	}
	return all
}

// describePlaces adds the cursors.
func describePlaces(envs []bachata.Envelope) []string {
	all := make([]string, len(envs))
	for i, e := range envs {
		all[i] = fmt.Sprint(e.Cursor, ": ", describe(e))
	}
	return all
}

// differ returns a complaint unless got and want are the same lines.
func differ(what string, got, want []string) string {
	if strings.Join(got, "\n") == strings.Join(want, "\n") && len(got) == len(want) {
		return ""
	}
	return fmt.Sprintf("%s: got %s, want %s", what, lines(got), lines(want))
}

// differUnordered returns a complaint unless got and want are the same lines in any order.
func differUnordered(what string, got, want []string) string {
	return differ(what, slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want)))
}

// lines spells a list, without the middle of a long one.
func lines(all []string) string {
	const most = 40
	if len(all) > most {
		return fmt.Sprintf("%d entries %q ... %q", len(all), all[:most/2], all[len(all)-most/2:])
	}
	return fmt.Sprintf("%q", all)
}
