package checker_test

import (
	"testing"

	"github.com/bachata-go/bachata/internal/faults/checker"
)

// A checker that can't fail is worth nothing: here is what each rule has to find.

func TestBrokenDelivery(t *testing.T) {
	t.Parallel()
	testBroken(t, []broken{
		{name: "lost", rule: "I1", script: begin + `
			anna send 1 a bob
			anna send 1 b bob
			anna ack 1 a
			anna ack 1 b
			bob get 1 a anna
			anna told 1 a bob bob
			bob gap 1 dropped=1` + end},
		{name: "lost by one of two channels", rule: "I1", script: begin + `
			carl dial 1
			carl open 1
			anna send 1 m team to=bob,carl
			anna ack 1 m
			bob get 1 m anna dest=team
			anna told 1 m bob team
			carl quiet` + end},
		{name: "written, but never whole", rule: "I1", script: begin + `
			anna send 1 m bob
			anna ack 1 m
			bob message 1 m anna
			bob gap 1 expired=1` + end},
		{name: "the receiver is not told", rule: "I8", script: begin + `
			anna send 1 m bob
			anna ack 1 m
			anna told 1 m bob bob code=480` + end},
		{name: "the receiver is told too late", rule: "I8", script: begin + `
			anna send 1 a bob
			anna ack 1 a
			anna told 1 a bob bob code=481
			anna send 1 b bob
			anna ack 1 b
			bob get 1 b anna
			anna told 1 b bob bob
			bob gap 1 dropped=1` + end},
		{name: "the gap is counted too small", rule: "I8", script: begin + `
			anna send 1 a bob
			anna send 1 b bob
			anna ack 1 a
			anna ack 1 b
			anna told 1 a bob bob code=481
			anna told 1 b bob bob code=481
			bob gap 1 dropped=1` + end},
	})
}

func TestBrokenTruth(t *testing.T) {
	t.Parallel()
	const m = begin + `
		carl dial 1
		carl open 1
		carl quiet
		anna send 1 m bob
		anna ack 1 m
		`
	const rest = `
		bob show 1 m anna
		bob confirm 1 m anna
		anna told 1 m bob bob` + end
	testBroken(t, []broken{
		{name: "never sent", rule: "I2", script: begin + "bob message 1 x anna" + end},
		{name: "another from", rule: "I2", script: m + "bob message 1 m carl" + rest},
		{name: "another dest", rule: "I2", script: m + "bob message 1 m anna dest=carl" + rest},
		{name: "another text", rule: "I2", script: m + "bob message 1 m anna sum=2" + rest},
		{name: "a shorter text", rule: "I2", script: m + "bob message 1 m anna size=9" + rest},
		{name: "on another channel", rule: "I2", script: m + "carl message 1 m anna dest=bob\nbob message 1 m anna" + rest},
		{name: "before it was sent", rule: "I2", script: begin + `
			bob get 1 m anna
			anna send 1 m bob
			anna ack 1 m
			anna told 1 m bob bob` + end},
		{name: "another own name", rule: "I2", script: "anna dial 1\nanna open 1 carl\nanna quiet\n"},
		{name: "a 100 for nothing", rule: "I2", script: begin + "anna ack 1 m" + end},
		{name: "two 100s for one", rule: "I2", script: m + "bob message 1 m anna\nanna ack 1 m dup" + rest},
		{name: "a 400 for nothing", rule: "I2", script: begin + "anna refuse 1 m no_route" + end},
		{name: "a 100 on another connection", rule: "I2", script: begin + `
			anna dial 2
			anna open 2
			anna send 1 m bob
			anna ack 2 m
			bob get 1 m anna
			anna told 2 m bob bob` + end},
		{name: "a receipt for nothing", rule: "I2", script: begin + "anna receipt 1 m bob bob" + end},
		{name: "a receipt with another dest", rule: "I2", script: m + `
			bob get 1 m anna
			anna told 1 m bob team` + end},
		{name: "a receipt from a stranger", rule: "I2", script: m + `
			bob get 1 m anna
			anna told 1 m bob bob
			anna receipt 1 m carl bob code=481` + end},
	})
}

func TestBrokenRepeats(t *testing.T) {
	t.Parallel()
	const m = begin + `
		anna send 1 m bob
		anna ack 1 m
		bob get 1 m anna
		anna told 1 m bob bob
		`
	testBroken(t, []broken{
		{name: "on one connection", rule: "I3", script: m + "bob message 1 m anna" + end},
		{name: "shown again", rule: "I3", script: m + "bob show 1 m anna" + end},
		{name: "a receipt on one connection", rule: "I3", script: m + "anna receipt 1 m bob bob" + end},
		{name: "told again", rule: "I3", script: m + `
			anna dial 2
			anna open 2
			anna told 2 m bob bob` + end},
		{name: "two that are new", rule: "I6", script: begin + `
			anna send 1 m bob
			anna send 1 m bob
			anna ack 1 m
			anna ack 1 m
			bob get 1 m anna
			anna told 1 m bob bob` + end},
		{name: "a dup of nothing", rule: "I6", script: begin + `
			anna send 1 m bob
			anna ack 1 m dup
			bob get 1 m anna
			anna told 1 m bob bob` + end},
		{name: "back after its receipt", rule: "I6", script: m + `
			bob dial 2
			bob open 2
			bob message 2 m anna` + end},
	})
}

func TestBrokenOrder(t *testing.T) {
	t.Parallel()
	const told = `
		anna told 1 a bob bob
		anna told 1 b bob bob` + end
	testBroken(t, []broken{
		{name: "of one sender", rule: "I4", script: begin + `
			anna send 1 a bob
			anna send 1 b bob
			anna ack 1 a
			anna ack 1 b
			bob get 1 b anna
			bob get 1 a anna` + told},
		{name: "of one sender, sent again after a reconnect", rule: "I4", script: begin + `
			anna send 1 a bob
			anna send 1 b bob
			anna close 1
			anna dial 2
			anna open 2
			anna send 2 a bob
			anna send 2 b bob
			anna ack 2 a
			anna ack 2 b dup
			bob get 1 b anna
			bob get 1 a anna` + told},
		{name: "of one sender, on a second connection", rule: "I4", script: begin + `
			anna send 1 a bob
			anna send 1 b bob
			anna ack 1 a
			anna ack 1 b
			bob message 1 a anna
			bob close 1
			bob dial 2
			bob open 2
			bob get 2 b anna
			bob get 2 a anna` + told},
		{name: "refused once, accepted, and then still late", rule: "I4", script: begin + `
			anna send 1 a bob
			anna refuse 1 a unavailable
			anna send 1 a bob
			anna send 1 b bob
			anna ack 1 a
			anna ack 1 b
			bob get 1 b anna
			bob get 1 a anna` + told},
		{name: "of two senders, one after the other", rule: "I4", script: begin + `
			carl dial 1
			carl open 1
			anna send 1 a bob
			anna ack 1 a
			carl send 1 b bob
			carl ack 1 b
			bob get 1 b carl
			bob get 1 a anna
			anna told 1 a bob bob
			carl told 1 b bob bob
			carl quiet` + end},
		{name: "of two connections that disagree", rule: "I4", script: begin + `
			bob dial 2
			bob open 2
			carl dial 1
			carl open 1
			anna send 1 a bob
			carl send 1 b bob
			anna ack 1 a
			carl ack 1 b
			bob get 1 a anna
			bob get 1 b carl
			bob message 2 b carl
			bob message 2 a anna
			anna told 1 a bob bob
			carl told 1 b bob bob
			carl quiet` + end},
		{name: "of one sender, in simple mode", rule: "I4", options: checker.Options{Simple: true}, script: begin + `
			anna send 1 a bob
			anna send 1 b bob
			bob message 1 b anna
			bob message 1 a anna` + end},
		{name: "by one connection and the next, in simple mode", rule: "I4", options: checker.Options{Simple: true}, script: begin + `
			anna send 1 a bob
			anna send 1 b bob
			bob message 1 b anna
			bob show 1 b anna
			bob close 1
			bob dial 2
			bob open 2
			bob message 2 a anna
			bob show 2 a anna` + end},
	})
}

func TestBrokenReceipts(t *testing.T) {
	t.Parallel()
	testBroken(t, []broken{
		{name: "a 300 without a 200", rule: "I5", script: begin + `
			anna send 1 m bob
			anna ack 1 m
			bob message 1 m anna
			bob show 1 m anna
			anna told 1 m bob bob` + end},
		{name: "a 300 before its 200", rule: "I5", script: begin + `
			anna send 1 m bob
			anna ack 1 m
			bob message 1 m anna
			bob show 1 m anna
			anna told 1 m bob bob
			bob confirm 1 m anna` + end},
		{name: "a 200 without its 300", rule: "I5", script: begin + `
			anna send 1 m bob
			anna ack 1 m
			bob get 1 m anna` + end},
		{name: "a 200 without its 300, and no 100 either", rule: "I5", script: begin + `
			carl dial 1
			carl open 1
			carl quiet
			anna send 1 m team to=bob,carl
			anna ack 1 m
			bob get 1 m anna dest=team
			carl get 1 m anna dest=team
			anna told 1 m carl team` + end},
		{name: "two outcomes", rule: "I5", script: begin + `
			anna send 1 m bob
			anna ack 1 m
			bob get 1 m anna
			anna told 1 m bob bob
			anna dial 2
			anna open 2
			anna receipt 2 m bob bob code=480` + end},
	})
}
