// Package inbox is the state machine that the embedded queues share: the inboxes in their order, the ids that are
// remembered, the limits, and what must be told when something is lost. It does no I/O and holds no payload: where
// a message lives is a reference of the queue's own type R (a pointer for package memory, a place in the log for
// package disk).
//
// Every change is made in two steps. A decision (DecidePut, DecidePop, DecideTake, DecideExpire, DecideTrim) reads the
// Book and writes down what is to happen as a list of Ops, which carry everything that the decision came to: sequence
// numbers, times, counts. Apply carries the list out. The disk queue writes the list into its log in between and
// applies the same lists again when it is opened, so that a replay can't come to another result than the first run.
//
// A Book is not safe for concurrent use: its queue holds one lock around a decision and its Apply.
package inbox
