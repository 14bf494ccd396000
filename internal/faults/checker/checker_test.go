package checker_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/bachata-go/bachata/internal/faults/checker"
)

// begin connects anna and bob, and end has both go quiet.
const begin = `
	anna dial 1
	anna open 1
	bob dial 1
	bob open 1
`
const end = `
	anna quiet
	bob quiet
`

func check(t *testing.T, script string, o checker.Options) []string {
	t.Helper()
	var rules []string
	for _, v := range checker.Check(parse(t, script), o).Violations {
		t.Logf("found %s", v)
		rules = append(rules, v.Rule)
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

// TestRight: histories in which everything is as it should be.
func TestRight(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script string
		options      checker.Options
	}{
		{"nothing", begin + end, checker.Options{}},
		{"a message", begin + `
			anna send 1 m bob
			bob message 1 m anna
			anna ack 1 m
			bob show 1 m anna
			bob confirm 1 m anna
			anna told 1 m bob bob` + end, checker.Options{WindowMessages: 1, WindowBytes: 1}},
		{"the receipt overtakes the 100", begin + `
			anna send 1 m bob
			bob get 1 m anna
			anna told 1 m bob bob
			anna ack 1 m` + end, checker.Options{}},
		{"the 100 is lost, and so is the 200", begin + `
			anna send 1 m bob
			bob get 1 m anna
			anna close 1
			bob close 1
			anna dial 2
			anna open 2
			bob dial 2
			bob open 2
			anna send 2 m bob
			anna ack 2 m dup
			bob message 2 m anna
			bob confirm 2 m anna
			anna told 2 m bob bob` + end, checker.Options{}},
		{"the receipt comes again with the second 100", begin + `
			anna send 1 m bob
			bob get 1 m anna
			anna told 1 m bob bob
			anna close 1
			anna dial 2
			anna open 2
			anna send 2 m bob
			anna receipt 2 m bob bob
			anna receipt 2 m bob bob
			anna ack 2 m dup` + end, checker.Options{}},
		{"two senders with one id", begin + `
			carl dial 1
			carl open 1
			anna send 1 m bob
			carl send 1 m bob
			anna ack 1 m
			carl ack 1 m
			bob get 1 m carl
			bob get 1 m anna
			carl told 1 m bob bob
			anna told 1 m bob bob
			carl quiet` + end, checker.Options{}},
		{"two sockets of one application", begin + `
			bob dial 2
			bob open 2
			anna send 1 a bob
			anna send 1 b bob
			anna ack 1 a
			anna ack 1 b
			bob get 1 a anna
			bob message 2 a anna
			bob get 2 b anna
			anna told 1 a bob bob
			anna told 1 b bob bob
			bob message 1 b anna
			bob confirm 1 b anna
			bob confirm 2 a anna` + end, checker.Options{}},
		{"two devices on one channel", begin + `
			bob/2 dial 1
			bob/2 open 1
			anna send 1 a bob
			anna ack 1 a
			bob get 1 a anna
			bob/2 get 1 a anna
			anna told 1 a bob bob
			bob/2 quiet` + end, checker.Options{}},
		{"a group", begin + `
			carl dial 1
			carl open 1
			anna send 1 m team to=bob,carl
			anna ack 1 m
			bob get 1 m anna dest=team
			carl get 1 m anna dest=team
			anna told 1 m bob team
			anna told 1 m carl team
			carl quiet` + end, checker.Options{}},
		{"a group with a full inbox", begin + `
			carl dial 1
			carl open 1
			anna send 1 m team to=bob,carl
			anna ack 1 m
			bob get 1 m anna dest=team
			anna told 1 m bob team
			anna told 1 m carl team code=481
			carl quiet` + end, checker.Options{}},
		{"refused", begin + `
			anna send 1 m bob
			anna refuse 1 m inbox_full` + end, checker.Options{}},
		{"refused because the inbox was full, which nobody read, overtaken, sent again", begin + `
			anna send 1 x bob
			anna refuse 1 x inbox_full
			anna send 1 a bob
			anna send 1 b bob
			bob get 1 b anna
			anna close 1
			anna dial 2
			anna open 2
			anna send 2 a bob
			anna send 2 b bob
			bob get 1 a anna
			anna ack 2 a
			anna ack 2 b dup
			anna told 2 a bob bob
			anna told 2 b bob bob` + end, checker.Options{}},
		{"lost on the way, unavailable, overtaken, sent again", begin + `
			anna send 1 a bob
			anna send 1 b bob
			anna close 1
			anna dial 2
			anna open 2
			anna send 2 a bob
			anna refuse 2 a unavailable
			anna send 2 b bob
			anna ack 2 b
			anna send 2 a bob
			anna ack 2 a
			bob get 1 b anna
			bob get 1 a anna
			anna told 2 b bob bob
			anna told 2 a bob bob` + end, checker.Options{}},
		{"unavailable, overtaken, sent again", begin + `
			anna send 1 a bob
			anna refuse 1 a unavailable
			anna send 1 b bob
			anna send 1 a bob
			anna ack 1 b
			anna ack 1 a
			bob get 1 b anna
			bob get 1 a anna
			anna told 1 b bob bob
			anna told 1 a bob bob` + end, checker.Options{}},
		{"dropped, and said so", begin + `
			anna send 1 a bob
			anna ack 1 a
			anna told 1 a bob bob code=481
			anna send 1 b bob
			anna ack 1 b
			bob gap 1 dropped=1
			bob get 1 b anna
			anna told 1 b bob bob` + end, checker.Options{}},
		{"dropped when one connection of two had been written it, which was read late", begin + `
			bob dial 2
			bob open 2
			anna send 1 a bob
			anna ack 1 a
			anna told 1 a bob bob code=481
			anna send 1 b bob
			anna ack 1 b
			bob get 2 b anna
			anna told 1 b bob bob
			bob message 1 a anna
			bob show 1 a anna
			bob message 1 b anna` + end, checker.Options{}},
		{"receipts that grew too many", begin + `
			anna send 1 a bob
			anna ack 1 a
			bob get 1 a anna
			anna gap 1 receipts=1` + end, checker.Options{}},
		{"simple mode", begin + `
			anna send 1 a bob
			anna ack 1 a
			anna send 1 a bob
			anna ack 1 a
			bob message 1 a anna
			bob message 1 a anna`, checker.Options{Simple: true}},
		{"simple mode, sent again, the first one lost", begin + `
			anna send 1 a bob
			anna close 1
			anna dial 2
			anna open 2
			anna send 2 a bob
			anna send 2 b bob
			anna ack 2 a
			anna ack 2 b
			bob message 1 b anna
			bob message 1 a anna`, checker.Options{Simple: true}},
		{"simple mode, the other connection was there first", begin + `
			anna send 1 a bob
			anna ack 1 a
			bob dial 2
			bob open 2
			anna send 1 b bob
			bob message 2 b anna
			bob show 2 b anna
			bob message 1 a anna
			bob show 1 a anna
			bob message 1 b anna`, checker.Options{Simple: true}},
		{"memory", begin + end + "server memory size=100\n", checker.Options{MemoryBytes: 100}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if rules := check(t, c.script, c.options); len(rules) > 0 {
				t.Errorf("found %v, want nothing", rules)
			}
		})
	}
}

// broken is a history that breaks exactly one rule.
type broken struct {
	name, rule, script string
	options            checker.Options
}

func testBroken(t *testing.T, cases []broken) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.rule+" "+c.name, func(t *testing.T) {
			t.Parallel()
			if rules := check(t, c.script, c.options); len(rules) != 1 || rules[0] != c.rule {
				t.Errorf("found %v, want %s", rules, c.rule)
			}
		})
	}
}

// TestReport: the counts are of what was looked at, so that a run that judged nothing shows.
func TestReport(t *testing.T) {
	t.Parallel()
	got := checker.Check(parse(t, begin+`
		anna send 1 m bob
		bob get 1 m anna
		bob close 1
		bob dial 2
		bob open 2
		bob message 2 m anna
		bob confirm 2 m anna
		anna send 1 m bob
		anna ack 1 m
		anna ack 1 m dup
		anna told 1 m bob bob`+end), checker.Options{})
	got.Violations = slices.Clip(got.Violations)
	if len(got.Violations) > 0 || got.Sent != 1 || got.Resent != 1 || got.Accepted != 1 || got.Shown != 1 || got.Receipts != 1 ||
		got.Repeats != 1 || got.Conns != 3 {
		t.Errorf("Check() = %+v", got)
	}
}

func TestViolationNamesWhatItIsAbout(t *testing.T) {
	t.Parallel()
	v := checker.Violation{Rule: "I1", Client: "anna/2", Conn: 7, From: "anna", ID: "m", Text: "lost"}.String()
	for _, part := range []string{"I1", "anna/2", "7", `"anna"`, `"m"`, "lost"} {
		if !strings.Contains(v, part) {
			t.Errorf("%q does not say %q", v, part)
		}
	}
}
