package redis

import (
	"context"
	"sync"

	"github.com/redis/rueidis"
)

const (
	gatherAtOnce = 2         // calls of one script that are under way
	gatherMost   = 32        // requests that one call carries out at most, so that none holds up the server for long
	gatherBytes  = 128 << 10 // of arguments, after which no more is added to a call
)

// gather has requests that come while others of their kind are under way carried out together, by one call of their
// script: a third of what a script costs the server is beginning and ending it. Who comes alone does not wait.
type gather struct {
	q      *Queue
	verb   string
	script *rueidis.Lua

	mu       sync.Mutex
	underWay int
	waiting  []*request
}

// request is the part of one caller in a call.
type request struct {
	keys, args []string
	done       chan struct{}
	reply      rueidis.RedisMessage
	err        error
}

// run has the server carry out the script for keys and args, and perhaps for others, and returns its reply for those.
func (g *gather) run(ctx context.Context, keys, args []string) (rueidis.RedisMessage, error) {
	g.mu.Lock()
	if g.underWay < gatherAtOnce || g.q.keys.cluster { // keys of two requests have no slot in common there
		g.underWay++
		g.mu.Unlock()
		replies, err := g.q.run(ctx, g.verb, g.script, keys, args)
		g.ended()
		if err == nil && len(replies) != 1 {
			err = g.q.failed(ctx, g.verb, errReply)
		}
		if err != nil {
			return rueidis.RedisMessage{}, err
		}
		return replies[0], nil
	}
	r := &request{keys: keys, args: args, done: make(chan struct{})}
	g.waiting = append(g.waiting, r)
	full := len(g.waiting) >= gatherMost
	if full { // however far away the server is, nobody waits for a call that could not take him along
		g.underWay++
	}
	g.mu.Unlock()
	if full {
		g.ended()
	}
	select {
	case <-r.done:
		return r.reply, r.err
	case <-ctx.Done():
		return rueidis.RedisMessage{}, g.q.failed(ctx, g.verb, ctx.Err())
	}
}

// ended notes that a call has ended. Who waits has its place.
func (g *gather) ended() {
	if group := g.next(); len(group) > 0 {
		g.q.start(func() { g.work(group) })
	}
}

// next returns requests for a call, none if nobody waits.
func (g *gather) next() []*request {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, bytes := 0, 0
	for n < min(len(g.waiting), gatherMost) && bytes < gatherBytes {
		for _, a := range g.waiting[n].args {
			bytes += len(a)
		}
		n++
	}
	group := g.waiting[:n:n]
	if g.waiting = g.waiting[n:]; n == 0 {
		g.underWay--
		g.waiting = nil
	}
	return group
}

// work carries out requests until none waits.
func (g *gather) work(group []*request) {
	for len(group) > 0 {
		g.carryOut(group)
		group = g.next()
	}
}

func (g *gather) carryOut(group []*request) {
	var keys, args []string
	for _, r := range group {
		keys, args = append(keys, r.keys...), append(args, r.args...)
	}
	ctx := g.q.ctx // not a caller's: others depend on it, and it ends when the server has not answered in time
	replies, err := g.q.run(ctx, g.verb, g.script, keys, args)
	if err == nil && len(replies) != len(group) {
		err = g.q.failed(ctx, g.verb, errReply)
	}
	for i, r := range group {
		if r.err = err; err == nil {
			r.reply = replies[i]
		}
		close(r.done)
	}
}
