package redis

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// outAge is how long what a list out holds is left to the node that put it there.
const outAge = 2 * time.Second

// pending is an element of a list out: a receipt on its way to the bucket of its origin (KEYS.md, "Out").
type pending struct {
	element string
	time    int64
	seq     uint64
	outcome byte
	number  bool
	silent  bool
	k       string
	origin  string
	by      string
	dest    string
	list    string // of the inbox that the message was in
	id      string
}

func readPending(element string) (pending, bool) {
	r := reader{text: element}
	p := pending{element: element}
	p.time, p.seq = int64(r.number(6)), r.number(7)
	outcome := byte(r.number(1))
	p.outcome, p.number = outcome>>1, outcome&1 != 0
	p.silent = r.number(1) != 0
	p.k = r.take(12)
	p.origin, p.by, p.dest, p.list = r.name(), r.name(), r.name(), r.name()
	p.id = r.text
	return p, !r.bad
}

// carry takes receipts from the list out that is in the bucket of list to where they belong. What fails is left to the
// sweep.
func (q *Queue) carry(ctx context.Context, list string, out rueidis.RedisMessage) {
	if !q.keys.cluster {
		return
	}
	elements, err := out.ToArray()
	if err != nil || len(elements) == 0 {
		return
	}
	// It goes on if the caller does not: else each that is cut short would have to wait for the sweep.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.options.Timeout)
	defer cancel()
	q.carryAll(ctx, q.keys.globals(list)[globalOut], entriesOf(elements))
}

func (q *Queue) carryAll(ctx context.Context, outKey string, entries []pending) {
	byBucket := make(map[int][]pending)
	for _, p := range entries {
		b := q.keys.bucket(p.origin)
		byBucket[b] = append(byBucket[b], p)
	}
	q.each(slices.Collect(maps.Keys(byBucket)), func(b int) {
		for part := range slices.Chunk(byBucket[b], 256) {
			if q.hook(hookPopped) {
				return
			}
			if marks, ok := q.receive(ctx, b, part); ok && !q.hook(hookReceived) {
				q.removeOut(ctx, outKey, part, marks)
			}
		}
	})
}

// receive appends receipts to the inboxes of their origins, all in one bucket. It returns the keys of the markers.
func (q *Queue) receive(ctx context.Context, bucket int, part []pending) (marks []string, ok bool) {
	c := q.newOriginCall(bucket)
	c.args = append(c.args, strconv.FormatInt(q.now(), 10), strconv.Itoa(len(part)))
	for _, p := range part {
		origin := p.origin
		if p.silent {
			origin = ""
		}
		at := c.list(q, origin)
		mark := q.keys.lead(bucket) + ":did:" + p.list + ":" + strconv.FormatUint(p.seq, 10)
		marks = append(marks, mark)
		c.keys = append(c.keys, mark)
		c.args = append(c.args, at, strconv.Itoa(len(c.keys)), p.k, strconv.Itoa(int(p.outcome)), strconv.FormatInt(p.time, 10),
			p.by, p.id, flag(p.number), p.dest)
		c.keys = append(c.keys, q.keys.told(bucket, p.k))
	}
	reply, err := q.run(ctx, "receive", q.scripts.receive, c.keys, c.args)
	if err != nil || len(reply) == 0 {
		return nil, false
	}
	_ = q.trim(ctx, reply[0]) // the next receipt there tries it again
	return marks, true
}

// removeOut takes what has arrived out of the list, then the markers, which nothing needs any more.
func (q *Queue) removeOut(ctx context.Context, outKey string, part []pending, marks []string) {
	commands := make([]rueidis.Completed, len(part))
	for i, p := range part {
		commands[i] = q.client.B().Lrem().Key(outKey).Count(1).Element(p.element).Build()
	}
	for _, r := range q.client.DoMulti(ctx, commands...) {
		if r.Error() != nil {
			return
		}
	}
	// What is so old that another node's sweep may have read it keeps its markers until they expire: without them that
	// node would append its receipts again.
	late := q.now() - outAge.Milliseconds()
	if slices.ContainsFunc(part, func(p pending) bool { return p.time <= late }) {
		return
	}
	q.client.Do(ctx, q.client.B().Unlink().Key(marks...).Build())
}

// sweepOut carries on what nodes left unfinished.
func (q *Queue) sweepOut() {
	ctx, cancel := context.WithTimeout(q.ctx, q.options.Timeout)
	defer cancel()
	for _, f := range q.look(ctx, "out", 255) {
		var entries []pending
		late := q.now() - outAge.Milliseconds()
		for _, element := range f.elements {
			if p, ok := readPending(element); ok && p.time <= late {
				entries = append(entries, p)
			}
		}
		if len(entries) > 0 {
			q.carryAll(ctx, f.lead+":out", entries)
		}
	}
}

// The places between the steps of a receipt at which tests end a node.
type hookPoint int

const (
	hookPopped   hookPoint = iota // in the list out, nothing else
	hookReceived                  // in the inbox of its origin too
)

// hook reports whether the node ends here: only in tests.
func (q *Queue) hook(at hookPoint) bool { return q.stopAt != nil && q.stopAt(at) }
