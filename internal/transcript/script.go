// Package transcript reads and plays the wire transcripts of testdata/wire: small texts that say, line by line, what
// clients send and what they are sent. Their format is described in testdata/wire/README.md.
package transcript

import (
	"fmt"
	"strconv"
	"strings"
)

// Script is one transcript.
type Script struct {
	Queues  []string            // the modes that it is for: "reliable", "simple"
	Options map[string]string   // of the server that it wants, by name
	Groups  map[string][]string // channels of the members, by group
	Steps   []Step
}

// Step is one line: what connection Name does, or what happens to it.
type Step struct {
	Line int // in the file, from 1
	Name string
	Verb Verb
	Text string // what follows the verb, as it stands there but for $n
}

// String returns the step as it is written, without what is long.
func (s Step) String() string {
	return fmt.Sprintf("line %d: %s", s.Line, strings.TrimSpace(s.Name+" "+string(s.Verb)+" "+shorten(s.Text)))
}

// Verb says what a step is.
type Verb string

// The verbs; testdata/wire/README.md says what each does.
const (
	Connect   Verb = "connect"
	Open      Verb = "open"
	Refused   Verb = "refused"
	Send      Verb = ">"
	Binary    Verb = "binary"
	Fragments Verb = "fragments"
	Bytes     Verb = "bytes"
	Hold      Verb = "hold"
	Flush     Verb = "flush"
	Receive   Verb = "<"
	Exact     Verb = "="
	Unordered Verb = "<*"
	Ping      Verb = "ping"
	Pongs     Verb = "pongs"
	Pong      Verb = "pong"
	Idle      Verb = "idle"
	Quiet     Verb = "quiet"
	Close     Verb = "close"
	Closed    Verb = "closed"
	Drop      Verb = "drop"
	Server    Verb = "server" // not of a connection: the server itself does something
)

// argument says for each verb whether text has to follow, may follow or must not.
var argument = map[Verb]struct{ required, allowed bool }{
	Connect: {false, true}, Open: {false, true}, Refused: {true, true}, Send: {true, true}, Binary: {true, true},
	Fragments: {true, true}, Bytes: {true, true}, Hold: {}, Flush: {}, Receive: {true, true}, Exact: {true, true},
	Unordered: {true, true}, Ping: {false, true}, Pongs: {true, true}, Pong: {}, Idle: {}, Quiet: {},
	Close: {false, true}, Closed: {true, true}, Drop: {}, Server: {true, true},
}

// maxLoop bounds what one for makes of its lines, so that a slip of the pen does not eat the memory.
const maxLoop = 1_000_000

// Parse reads a transcript. The error names the line.
func Parse(text string) (*Script, error) {
	p := parser{s: &Script{Options: map[string]string{}, Groups: map[string][]string{}}}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		if err := p.line(i+1, line); err != nil {
			return nil, fmt.Errorf("transcript: line %d: %w", i+1, err)
		}
	}
	if p.loop != nil {
		return nil, fmt.Errorf("transcript: line %d: for without end", p.loop.line)
	}
	if len(p.s.Queues) == 0 {
		return nil, fmt.Errorf("transcript: no queue line")
	}
	return p.s, nil
}

type parser struct {
	s    *Script
	loop *loop
}

// loop is a for whose end has not come yet.
type loop struct {
	line, from, to int
	variable       string
	steps          []Step
}

func (p *parser) line(number int, line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "queue":
		return p.queue(rest)
	case "option":
		name, value, _ := strings.Cut(rest, " ")
		if name == "" || value == "" {
			return fmt.Errorf("option %q wants a name and a value", rest)
		}
		p.s.Options[name] = value
		return nil
	case "group":
		names := strings.Fields(rest)
		if len(names) == 0 {
			return fmt.Errorf("group wants a name")
		}
		p.s.Groups[names[0]] = names[1:]
		return nil
	case "for":
		return p.begin(number, rest)
	case "end":
		return p.end()
	case "server":
		return p.step(Step{Line: number, Verb: Server, Text: rest})
	}
	verb, argument, _ := strings.Cut(rest, " ")
	return p.step(Step{Line: number, Name: word, Verb: Verb(verb), Text: argument})
}

func (p *parser) queue(rest string) error {
	switch rest {
	case "reliable", "simple":
		p.s.Queues = []string{rest}
	case "any":
		p.s.Queues = []string{"reliable", "simple"}
	default:
		return fmt.Errorf("queue %q is neither reliable, simple nor any", rest)
	}
	return nil
}

func (p *parser) step(s Step) error {
	a, known := argument[s.Verb]
	switch {
	case !known:
		return fmt.Errorf("unknown verb %q", s.Verb)
	case a.required && s.Text == "":
		return fmt.Errorf("%s wants something behind it", s.Verb)
	case !a.allowed && s.Text != "":
		return fmt.Errorf("%s takes nothing behind it, found %q", s.Verb, s.Text)
	}
	if p.loop != nil {
		p.loop.steps = append(p.loop.steps, s)
	} else {
		p.s.Steps = append(p.s.Steps, s)
	}
	return nil
}

// begin reads "n 1..100".
func (p *parser) begin(number int, rest string) error {
	if p.loop != nil {
		return fmt.Errorf("for inside the for of line %d", p.loop.line)
	}
	variable, span, _ := strings.Cut(rest, " ")
	low, high, ok := strings.Cut(span, "..")
	from, err1 := strconv.Atoi(low)
	to, err2 := strconv.Atoi(high)
	if !ok || err1 != nil || err2 != nil || variable == "" || to < from || to-from >= maxLoop {
		return fmt.Errorf("for %q is not of the form n 1..100", rest)
	}
	p.loop = &loop{line: number, from: from, to: to, variable: "$" + variable}
	return nil
}

func (p *parser) end() error {
	l := p.loop
	if l == nil {
		return fmt.Errorf("end without for")
	}
	p.loop = nil
	for i := l.from; i <= l.to; i++ {
		value := strconv.Itoa(i)
		for _, s := range l.steps {
			s.Text = strings.ReplaceAll(s.Text, l.variable, value)
			p.s.Steps = append(p.s.Steps, s)
		}
	}
	return nil
}

// shorten keeps what is printed readable: the frames of some transcripts have megabytes.
func shorten(text string) string {
	const most = 400
	if len(text) <= most {
		return text
	}
	return fmt.Sprintf("%s... (%d bytes)", text[:most], len(text))
}
