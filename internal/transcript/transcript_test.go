package transcript

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	s, err := Parse("# a comment\nqueue any\noption dedupe 2m\ngroup team anna bob\n\nanna connect\nfor n 1..3\n  anna > {\"id\":\"$n\"}\nend\nanna quiet")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Steps) != 5 || s.Steps[3].Text != `{"id":"3"}` || s.Steps[3].Line != 8 || s.Steps[4].Verb != Quiet {
		t.Errorf("Parse gave the steps %v", s.Steps)
	}
	if len(s.Queues) != 2 || s.Options["dedupe"] != "2m" || len(s.Groups["team"]) != 2 {
		t.Errorf("Parse gave the header %v %v %v", s.Queues, s.Options, s.Groups)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"anna connect", "queue fast", "queue any\nanna jump", "queue any\nanna >", "queue any\nanna idle now",
		"queue any\nfor n 1..2", "queue any\nend", "queue any\nfor n 2..1\nend", "queue any\nfor n 1..2\nfor m 1..2",
		"queue any\noption dedupe", "queue any\ngroup",
	} {
		if _, err := Parse(text); err == nil || !strings.HasPrefix(err.Error(), "transcript: ") {
			t.Errorf("Parse(%q) = %v, want an error that names the line", text, err)
		}
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`a$fill(3)b`: "axxxb", `$fill(2,[])`: "[][]", `$hex(ff 00)`: "\xff\x00", `$ms $any`: `$ms $any`, `$fill(0)`: "",
	} {
		if got, err := Expand(in); got != want || err != nil {
			t.Errorf("Expand(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"$fill(99999999999999999999)", "$fill(99999999)", "$hex(f)"} {
		if _, err := Expand(in); err == nil {
			t.Errorf("Expand(%q) is no error", in)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want, got string
		ok        bool
	}{
		{`{"a":1,"b":"x"}`, `{ "b":"\u0078", "a":1 }`, true},
		{`{"a":1}`, `{"a":1.0}`, false},
		{`{"a":1e400}`, `{"a":1e400}`, true},
		{`{"a":1}`, `{"a":1,"b":2}`, false},
		{`{"a":1,"b":2}`, `{"a":1}`, false},
		{`{"a":"$ms"}`, `{"a":17}`, true},
		{`{"a":"$ms"}`, `{"a":0}`, false},
		{`{"a":"$ms"}`, `{"a":1.5}`, false},
		{`{"a":"$text"}`, `{"a":"why"}`, true},
		{`{"a":"$text"}`, `{"a":""}`, false},
		{`{"a":"$any"}`, `{"a":[1,{}]}`, true},
		{`{"a":[1,"x"]}`, `{"a":[1,"x"]}`, true},
		{`{"a":[1]}`, `{"a":[1,2]}`, false},
		{`{"a":null}`, `{"a":null}`, true},
		{`{"a":null}`, `{"a":{}}`, false},
		{`{"a":1}`, `{"a":1,"a":1}`, false},
		{`{"a":1}`, `{"a":1}{`, false},
		{`{"a":1}`, `{"a":`, false},
	} {
		if err := Match(c.want, c.got); (err == nil) != c.ok {
			t.Errorf("Match(%s, %s) = %v, want ok %v", c.want, c.got, err, c.ok)
		}
	}
}

func TestMatchExact(t *testing.T) {
	t.Parallel()
	if err := matchExact(`{"a":1}`, `{"a":1}`); err != nil {
		t.Error(err)
	}
	if err := matchExact(`{"a":1}`, `{"a": 1}`); err == nil || !strings.Contains(err.Error(), "byte 5") {
		t.Errorf("matchExact = %v, want the byte named", err)
	}
}
