package queuetest

import (
	"testing"

	"github.com/bachata-go/bachata"
)

// modes says in which modes a clause holds.
type modes int

const (
	reliableMode modes = iota
	simpleMode
	bothModes
)

func only(m bachata.Mode) modes {
	if m == bachata.Simple {
		return simpleMode
	}
	return reliableMode
}

// needs are the abilities of a backend without which a clause cannot be checked.
type needs int

const (
	needClock   needs = 1 << iota // time can be turned
	needDurable                   // Info().Durable: Close and Open keep what was accepted
	needCrash                     // Store.Crash
	needFail                      // Store.Fail
	needAtomic                    // Info().Atomic
	needBatch                     // bachata.Batcher
)

// clause is one promise of the contract and the check of it.
type clause struct {
	name    string // of the subtest
	text    string // what is promised; a failure quotes it
	mode    modes
	needs   needs
	options bachata.QueueOptions // Simple and Now are filled in
	run     func(x *fixture)
}

// clauses returns the suite.
func clauses() []clause {
	var all []clause
	for _, of := range [][]clause{
		orderClauses(), duplicateClauses(), resendClauses(), windowClauses(), receiptClauses(), popClauses(),
		partialKeyClauses(), cursorClauses(), inboxLimitClauses(), dropClauses(), expiryClauses(), watchClauses(),
		nameClauses(), payloadClauses(), lifecycleClauses(), durableClauses(), concurrentClauses(), simpleClauses(),
		batchClauses(),
	} {
		all = append(all, of...)
	}
	return all
}

// check runs the clause on a fresh store, if the backend is able to.
func (c clause) check(t testing.TB, b Backend, mode bachata.Mode) {
	o := c.options
	o.Simple = mode == bachata.Simple
	x := newFixture(t, b, o, c.text)
	if why := x.unable(b, c.needs); why != "" {
		t.Logf("not checked, %s: %s", why, c.text)
		return
	}
	c.run(x)
}
