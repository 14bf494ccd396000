// Package checker proves from the histories of a run what the server promised. It shares no code with the server: all
// that it knows is what the clients recorded.
//
// The invariants, each judged after every client has gone quiet:
//
//   - I1 Nothing accepted is lost: each id answered with 100 was shown on every channel that it was meant for, or a 480
//     or 481 says why not.
//   - I2 Nothing is received that was never sent, and "from" is true.
//   - I3 The application sees each (id, from) once; the wire repeats one only on another connection.
//   - I4 All connections of a channel see one order; it is the order of acceptance, and for one sending connection
//     that of its frames.
//   - I5 No 300 without a 200; every message that was confirmed has exactly one outcome for each confirming channel,
//     and its sender was told.
//   - I6 An id sent again is the same message: one 100 without dup at most, and never written again once it was
//     reported delivered.
//   - I7 What is outstanding on a connection stays within the window, and the server within its memory.
//   - I8 No silent gap: whoever missed a message was told so, where it was missing.
package checker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bachata-go/bachata/internal/faults/history"
)

// Options are the bounds of the run. A field that is zero is not judged.
type Options struct {
	WindowMessages int
	WindowBytes    int
	MemoryBytes    int
	// Simple says that the queue was in simple mode, of which I2, I4 and I7 hold.
	Simple bool
	// Complete says that of such a run I1 holds too: no process, connection or inbox has ended or been full in a way that may
	// lose something.
	Complete bool
	// Unordered says that I4 does not hold of such a run: a server has ended, and what it had handed out to nobody went back to the end.
	Unordered bool
}

// Violation is one thing that must not have happened.
type Violation struct {
	// Rule is "I1" to "I8", or "history" if the histories can't be judged.
	Rule   string
	Client string // whose history shows it
	Conn   int    // on which of its connections, if on one
	From   string // the message's
	ID     string
	Text   string
}

// String returns the violation in one line.
func (v Violation) String() string {
	return fmt.Sprintf("%s: %s: connection %d: message %q of %q: %s", v.Rule, v.Client, v.Conn, v.ID, v.From, v.Text)
}

// Report is what a check found, and how much it had to look at.
type Report struct {
	Violations []Violation
	Sent       int // messages with an id
	Resent     int // of those, how many were sent more than once
	Accepted   int // of those, how many were answered with 100
	Shown      int // (message, client) pairs
	Receipts   int // outcomes that were told, (message, channel) pairs
	Repeats    int // messages on the wire that a client had been written before, on another connection
	Conns      int // connections that were opened
}

// String returns the counts in one line.
func (r Report) String() string {
	return fmt.Sprintf("%d messages, %d of them sent more than once, %d accepted, %d shown, %d written more than once, %d receipts, %d connections, %d violations",
		r.Sent, r.Resent, r.Accepted, r.Shown, r.Repeats, r.Receipts, r.Conns, len(r.Violations))
}

// Check judges the histories of one run.
func Check(all []history.History, o Options) Report {
	r := newRun(all, o)
	r.checkTruth()
	if !o.Unordered {
		r.checkOrder()
	}
	r.checkWindow()
	if o.Complete {
		r.checkDelivery()
	}
	if !o.Simple {
		r.checkQuiet()
		r.checkDelivery()
		r.checkGaps()
		r.checkRepeats()
		r.checkReceipts()
		r.checkResends()
	}
	r.count()
	slices.SortStableFunc(r.report.Violations, func(a, b Violation) int { return strings.Compare(a.String(), b.String()) })
	return r.report
}

func (r *run) violate(rule string, c *client, conn int, k key, format string, args ...any) {
	v := Violation{Rule: rule, Conn: conn, From: k.from, ID: k.id, Text: fmt.Sprintf(format, args...)}
	if c != nil {
		v.Client = c.Client
	}
	r.report.Violations = append(r.report.Violations, v)
}

func (r *run) count() {
	for k, m := range r.messages {
		if k.id == "" {
			continue
		}
		r.report.Sent++
		if len(m.sends) > 1 {
			r.report.Resent++
		}
		if m.ackedAt != never {
			r.report.Accepted++
		}
		r.report.Receipts += len(m.told)
	}
	for _, c := range r.clients {
		r.report.Shown += len(c.shown)
		seen := make(map[key]bool)
		for _, conn := range c.conns {
			if conn.opened {
				r.report.Conns++
			}
			for _, w := range conn.written {
				if seen[w.key] {
					r.report.Repeats++
				}
				seen[w.key] = true
			}
		}
	}
}
