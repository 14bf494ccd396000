package redis

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// expireAtOnce is how many inboxes are looked through in one go.
const expireAtOnce = 100

// maintain looks through inboxes in which something must have expired, forgets old ids and reads the level, until the
// queue is closed. Every node does that; what one has done, the others find done.
func (q *Queue) maintain() {
	every := q.limits.Sweep
	if every <= 0 {
		every = time.Minute // the level is read in any case
	}
	if q.keys.cluster {
		every = max(every, 100*time.Millisecond) // there is more to ask
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	level := time.Now()
	for {
		select {
		case <-q.ctx.Done():
			return
		case <-tick.C:
		}
		if q.limits.Sweep > 0 && !q.limits.Simple {
			q.sweepAll()
		}
		if time.Since(level) >= time.Minute {
			level = time.Now()
			_ = q.readLevel(q.ctx) // while it is away, what it said last stands
		}
	}
}

// parts returns how many buckets there are.
func (k keyspace) parts() int {
	if k.cluster {
		return buckets
	}
	return 1
}

// sweepAll looks into every bucket for what is due, all in one go, and works on those in which something is.
func (q *Queue) sweepAll() {
	ctx, cancel := context.WithTimeout(q.ctx, max(q.options.Timeout, 30*time.Second))
	defer cancel()
	now := q.now()
	n := q.keys.parts()
	commands := make([]rueidis.Completed, 0, 2*n)
	for b := range n {
		lead := q.keys.lead(b)
		commands = append(commands, q.dueCommand(lead, now), q.client.B().Lindex().Key(lead+":aging").Index(0).Build())
	}
	replies := q.client.DoMulti(ctx, commands...)
	for _, b := range rand.Perm(n) {
		lead := q.keys.lead(b)
		lists, err := replies[2*b].AsStrSlice()
		if err == nil && !q.expireAll(ctx, lead, lists) {
			return
		}
		oldest, err := replies[2*b+1].ToString()
		if err != nil {
			continue
		}
		r := reader{text: oldest}
		if at := int64(r.number(6)); (now-at >= q.limits.Window || q.forgot.Load() == 0) && !q.age(ctx, lead) {
			return
		}
	}
}

func (q *Queue) dueCommand(lead string, now int64) rueidis.Completed {
	return q.client.B().Zrangebyscore().Key(lead+":due").Min("-inf").Max(strconv.FormatInt(now, 10)).Limit(0, expireAtOnce).Build()
}

// expireAll looks through inboxes of a bucket, and those that are due after them. It reports whether that worked.
func (q *Queue) expireAll(ctx context.Context, lead string, lists []string) bool {
	for {
		for _, list := range lists {
			if err := q.lose(ctx, list, "expire", "0", "0"); err != nil {
				return false
			}
		}
		if len(lists) < expireAtOnce {
			return true
		}
		var err error
		if lists, err = q.client.Do(ctx, q.dueCommand(lead, q.now())).AsStrSlice(); err != nil {
			return false
		}
	}
}

// age forgets what is past the dedupe window.
func (q *Queue) age(ctx context.Context, lead string) bool {
	for {
		reply, err := q.run(ctx, "age", q.scripts.age, []string{lead + ":aging", lead + ":known", lead + ":forgot"},
			[]string{strconv.FormatInt(q.now(), 10)})
		if err != nil || len(reply) < 2 {
			return false
		}
		if at, err := strconv.ParseInt(text(reply[1]), 10, 64); err == nil {
			q.noteForgot(at)
		}
		if left, _ := reply[0].AsInt64(); left <= 0 {
			return true
		}
	}
}

// noteForgot notes that the cap made an id go that was accepted at the time given.
func (q *Queue) noteForgot(at int64) {
	for {
		old := q.forgot.Load()
		if at <= old {
			return
		}
		if q.forgot.CompareAndSwap(old, at) {
			if before := q.now() - old; old == 0 || before >= q.limits.Window {
				q.log.Warn("redis: the cap on remembered ids is reached, the dedupe window is shorter",
					"cap", q.limits.Cap, "window", q.window())
			}
			return
		}
	}
}

// maintainOut carries on what nodes left unfinished, until the queue is closed.
func (q *Queue) maintainOut() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-q.ctx.Done():
			return
		case <-tick.C:
			q.sweepOut()
		}
	}
}
