package redis

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// outAge is how long what a list out holds is left to the node that put it there. Who sweeps counts from when it has seen it, by its
// own clock: those of the nodes may be seconds apart.
const outAge = 2 * time.Second

// outSeen is for how long it is remembered what a sweep has seen.
const outSeen = time.Minute

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
	q.carryAll(ctx, q.keys.globals(list)[globalOut], entriesOf(elements), false)
}

// carryAll carries entries of the list out, which this node has put there, or else found.
func (q *Queue) carryAll(ctx context.Context, outKey string, entries []pending, found bool) {
	byBucket := make(map[int][]pending)
	for _, p := range entries {
		b := q.keys.bucket(p.origin)
		byBucket[b] = append(byBucket[b], p)
	}
	q.each(slices.Collect(maps.Keys(byBucket)), func(bucket int) {
		for part := range slices.Chunk(byBucket[bucket], 256) {
			if q.hook(hookPopped) {
				return
			}
			if marks, ok := q.receive(ctx, bucket, part); ok && !q.hook(hookReceived) {
				if found { // by others too, and who put it there may be about to carry it
					marks = nil
				}
				q.leave(arrival{outKey, bucket, part, marks})
			}
		}
	})
}

// mark returns the key that says that a receipt has arrived in the bucket.
func (p *pending) mark(q *Queue, bucket int) string {
	return q.keys.lead(bucket) + ":did:" + p.list + ":" + strconv.FormatUint(p.seq, 10)
}

// receiveNew appends receipts to the inboxes of their origins, all in one bucket, and reports whether it did. It did not, and
// nothing was changed, if anything about them is special.
func (q *Queue) receiveNew(ctx context.Context, bucket int, part []pending) (done bool, err error) {
	keys := append(make([]string, 0, 1+3*len(part)), q.keys.lead(bucket)+":known")
	args := make([]string, 0, 3*len(part))
	for i := range part {
		p := &part[i]
		if p.silent {
			return false, nil
		}
		list := q.keys.list(p.origin)
		keys = append(keys, p.mark(q, bucket), list, list+"::state")
		report := appendName(appendTime([]byte{p.outcome}, p.time), p.by)
		outcome := p.outcome << 1
		if p.number {
			outcome |= flagNumber
		}
		receipt := appendNumber([]byte("::r"), uint64(q.now())<<11)
		receipt = append(appendTime(receipt, p.time), outcome)
		receipt = appendName(appendName(receipt, p.by), p.dest)
		args = append(args, p.k, string(report), string(receipt)+p.id)
	}
	n, err := q.runInt(ctx, "receive", q.scripts.receiveNew, keys, args)
	return n == 1, err
}

// receive appends receipts to the inboxes of their origins, all in one bucket. It returns the keys of the markers.
func (q *Queue) receive(ctx context.Context, bucket int, part []pending) (marks []string, ok bool) {
	done, err := q.receiveNew(ctx, bucket, part)
	if err != nil {
		return nil, false
	}
	if done {
		for i := range part {
			marks = append(marks, part[i].mark(q, bucket))
		}
		return marks, true
	}
	c := q.newOriginCall(bucket)
	c.args = append(c.args, strconv.FormatInt(q.now(), 10), strconv.Itoa(len(part)))
	for _, p := range part {
		origin := p.origin
		if p.silent {
			origin = ""
		}
		at := c.list(q, origin)
		mark := p.mark(q, bucket)
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

// arrival is receipts that have arrived in a bucket, and are still in the list out of another.
type arrival struct {
	outKey string
	bucket int
	part   []pending
	marks  []string // that go then
}

// leaving is what is to be taken out of lists out. Who popped does not wait for that, and what comes while some is under way
// leaves together.
type leaving struct {
	mu       sync.Mutex
	arrivals []arrival
	receipts int           // in arrivals
	idle     chan struct{} // closed when nothing is left to do; nil if nothing is
}

// leavingMost is how many receipts wait to be taken out of lists out: who is over it waits.
const leavingMost = 4096

// leave has receipts taken out of the list out.
func (q *Queue) leave(a arrival) {
	l := &q.leaving
	l.mu.Lock()
	if l.receipts+len(a.part) > leavingMost {
		l.mu.Unlock()
		q.removeOut([]arrival{a})
		return
	}
	l.arrivals = append(l.arrivals, a)
	l.receipts += len(a.part)
	start := l.idle == nil
	if start {
		l.idle = make(chan struct{})
	}
	l.mu.Unlock()
	if start {
		q.start(q.removeLeaving)
	}
}

func (q *Queue) removeLeaving() {
	l := &q.leaving
	for {
		l.mu.Lock()
		all := l.arrivals
		l.arrivals, l.receipts = nil, 0
		if len(all) == 0 {
			close(l.idle)
			l.idle = nil
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		q.removeOut(all)
	}
}

// awaitLeft waits until all that has arrived is out of the lists, but not for long: what stays there another node finds, and
// its marker says that it has arrived, for ten minutes.
func (q *Queue) awaitLeft() {
	q.leaving.mu.Lock()
	idle := q.leaving.idle
	q.leaving.mu.Unlock()
	if idle == nil {
		return
	}
	late := time.NewTimer(min(time.Second, q.options.Timeout))
	defer late.Stop()
	select {
	case <-idle:
	case <-late.C:
	}
}

// removeOut takes what has arrived out of the lists, then the markers, which nothing needs any more. What fails is left to the
// sweep.
func (q *Queue) removeOut(arrivals []arrival) {
	ctx, cancel := context.WithTimeout(context.Background(), q.options.Timeout)
	defer cancel()
	var commands []rueidis.Completed
	for _, a := range arrivals {
		for i := range a.part {
			commands = append(commands, q.client.B().Lrem().Key(a.outKey).Count(1).Element(a.part[i].element).Build())
		}
	}
	replies := q.client.DoMulti(ctx, commands...)
	late := q.now() - outAge.Milliseconds()
	marks := make(map[int][]string)
	for _, a := range arrivals {
		removed := replies[:len(a.part)]
		replies = replies[len(a.part):]
		// What is so old that another node's sweep may have read it keeps its markers until they expire: without them that
		// node would append its receipts again.
		if len(a.marks) > 0 && !slices.ContainsFunc(removed, func(r rueidis.RedisResult) bool { return r.Error() != nil }) &&
			!slices.ContainsFunc(a.part, func(p pending) bool { return p.time <= late }) {
			marks[a.bucket] = append(marks[a.bucket], a.marks...)
		}
	}
	commands = commands[:0]
	for _, m := range marks {
		commands = append(commands, q.client.B().Unlink().Key(m...).Build())
	}
	q.client.DoMulti(ctx, commands...)
}

// sweepOut carries on what nodes left unfinished. seen says since when it has seen what.
func (q *Queue) sweepOut(seen map[string]time.Time) {
	ctx, cancel := context.WithTimeout(q.ctx, q.options.Timeout)
	defer cancel()
	start := time.Now()
	all := q.look(ctx, "out", 255)
	now := time.Now() // that may have taken long
	for _, f := range all {
		var entries []pending
		for _, element := range f.elements {
			since, ok := seen[element]
			if !ok {
				seen[element] = now
			} else if start.Sub(since) >= outAge {
				if p, ok := readPending(element); ok {
					entries = append(entries, p)
				}
			}
		}
		if len(entries) > 0 {
			q.carryAll(ctx, f.lead+":out", entries, true)
		}
	}
	maps.DeleteFunc(seen, func(_ string, since time.Time) bool { return start.Sub(since) > outSeen })
}

// The places between the steps of a receipt at which tests end a node.
type hookPoint int

const (
	hookPopped   hookPoint = iota // in the list out, nothing else
	hookReceived                  // in the inbox of its origin too
)

// hook reports whether the node ends here: only in tests.
func (q *Queue) hook(at hookPoint) bool { return q.stopAt != nil && q.stopAt(at) }
