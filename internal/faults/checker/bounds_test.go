package checker_test

import (
	"testing"

	"github.com/bachata-go/bachata/internal/faults/checker"
)

func TestBrokenBounds(t *testing.T) {
	t.Parallel()
	const three = begin + `
		anna send 1 a bob
		anna send 1 b bob
		anna send 1 c bob
		anna ack 1 a
		anna ack 1 b
		anna ack 1 c
		bob message 1 a anna
		bob message 1 b anna
		bob confirm 1 a anna
		bob message 1 c anna
		bob show 1 a anna
		bob show 1 b anna
		bob show 1 c anna
		bob confirm 1 b anna
		bob confirm 1 c anna
		anna told 1 a bob bob
		anna told 1 b bob bob
		anna told 1 c bob bob` + end
	testBroken(t, []broken{
		{name: "messages", rule: "I7", script: three, options: checker.Options{WindowMessages: 1}},
		{name: "bytes", rule: "I7", script: three, options: checker.Options{WindowBytes: 19}},
		{name: "memory", rule: "I7", script: begin + end + "server memory size=101\n", options: checker.Options{MemoryBytes: 100}},
	})
	for _, o := range []checker.Options{{WindowMessages: 2}, {WindowBytes: 20}} {
		if rules := check(t, three, o); len(rules) > 0 {
			t.Errorf("found %v with %+v, want nothing", rules, o)
		}
	}
}

// TestLeftByItself: what was dropped or has expired no longer fills the window, though it was never confirmed.
func TestLeftByItself(t *testing.T) {
	t.Parallel()
	script := begin + `
		anna send 1 a bob
		anna ack 1 a
		bob message 1 a anna
		bob show 1 a anna
		anna send 1 b bob
		anna ack 1 b
		bob get 1 b anna
		anna told 1 a bob bob code=481
		anna told 1 b bob bob` + end
	if rules := check(t, script, checker.Options{WindowMessages: 1}); len(rules) > 0 {
		t.Errorf("found %v, want nothing", rules)
	}
}

// TestComplete: where nothing may have been lost in simple mode, what is missing is found.
func TestComplete(t *testing.T) {
	t.Parallel()
	script := begin + `
		anna send 1 a bob
		anna ack 1 a
		anna send 1 b bob
		anna ack 1 b
		bob message 1 b anna
		bob show 1 b anna` + end
	testBroken(t, []broken{{name: "in simple mode", rule: "I1", script: script, options: checker.Options{Simple: true, Complete: true}}})
	if rules := check(t, script, checker.Options{Simple: true}); len(rules) > 0 {
		t.Errorf("found %v in a run that may have lost something, want nothing", rules)
	}
}

// TestUnordered: where the order is not judged, nothing else is left out.
func TestUnordered(t *testing.T) {
	t.Parallel()
	script := begin + `
		anna send 1 a bob
		anna send 1 b bob
		bob message 1 b anna
		bob message 1 a anna`
	if rules := check(t, script, checker.Options{Simple: true, Unordered: true}); len(rules) > 0 {
		t.Errorf("found %v, want nothing", rules)
	}
	testBroken(t, []broken{{name: "made up", rule: "I2", script: script + `
		bob message 1 c anna`, options: checker.Options{Simple: true, Unordered: true}}})
}

// TestUnjudged: a run that did not end quiet proves nothing, and that is said.
func TestUnjudged(t *testing.T) {
	t.Parallel()
	testBroken(t, []broken{
		{name: "not quiet", rule: "history", script: begin + "anna quiet"},
		{name: "no answer", rule: "history", script: begin + "anna send 1 m bob" + end},
		{name: "no receiver", rule: "history", script: begin + "anna send 1 m carl\nanna ack 1 m" + end},
		{name: "one id for two", rule: "history", script: begin + `
			anna send 1 m bob
			anna send 1 m anna
			anna ack 1 m
			bob get 1 m anna
			anna told 1 m bob bob` + end},
	})
}
