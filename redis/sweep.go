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
			for _, b := range rand.Perm(q.keys.parts()) {
				if q.ctx.Err() != nil || !q.sweepBucket(b) {
					break
				}
			}
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

// sweepBucket looks through one bucket and reports whether the server is there.
func (q *Queue) sweepBucket(bucket int) bool {
	ctx, cancel := context.WithTimeout(q.ctx, q.options.Timeout)
	defer cancel()
	lead := q.keys.lead(bucket)
	for {
		b := q.client.B()
		lists, err := q.client.Do(ctx, b.Zrangebyscore().Key(lead+":due").Min("-inf").Max(strconv.FormatInt(q.now(), 10)).
			Limit(0, expireAtOnce).Build()).AsStrSlice()
		if err != nil {
			_, wrong := rueidis.IsRedisErr(err)
			return wrong
		}
		for _, list := range lists {
			if err := q.lose(ctx, list, "expire", "0", "0"); err != nil {
				return false
			}
		}
		if len(lists) < expireAtOnce {
			break
		}
	}
	return q.age(ctx, lead)
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
