package redis

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
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
		every = max(every, 50*time.Millisecond) // there is more to ask
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
			q.noteHistory()
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

// sweepAll looks into every bucket for what is due and works on those in which something is.
func (q *Queue) sweepAll() {
	ctx, cancel := context.WithTimeout(q.ctx, max(q.options.Timeout, 30*time.Second))
	defer cancel()
	found := q.look(ctx, "due", expireAtOnce)
	rand.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	now := q.now()
	for _, f := range found {
		if len(f.elements) > 0 && !q.expireAll(ctx, f.lead, f.elements) {
			return
		}
		if f.oldest == "" {
			continue
		}
		r := reader{text: f.oldest}
		if at := int64(r.number(6)); (now-at >= q.limits.Window || q.forgot.Load() == 0) && !q.age(ctx, f.lead) {
			return
		}
	}
}

// finding is a bucket in which something is to be done.
type finding struct {
	lead     string
	oldest   string   // the time of its oldest remembered id, as in the aging list
	elements []string // of its list out, or the inboxes that are due
}

// lookAtOnce is into how many buckets one call of the script looks, so that none holds up the server for long.
const lookAtOnce = 128

// look looks into every bucket: a few calls to each primary. What can't be looked at is left for another time.
func (q *Queue) look(ctx context.Context, what string, most int) []finding {
	where, err := q.locate(ctx)
	if err != nil {
		return nil
	}
	leads := make(map[string][]string)
	for b := range q.keys.parts() {
		address := where.address(b)
		leads[address] = append(leads[address], q.keys.lead(b))
	}
	var all []finding
	for address, list := range leads {
		for part := range slices.Chunk(list, lookAtOnce) {
			args := append([]string{strconv.FormatInt(q.now(), 10), what, strconv.Itoa(most)}, part...)
			reply, err := q.scripts.look.Exec(ctx, where.nodes[address], nil, args).ToArray()
			if err != nil {
				break
			}
			for _, m := range reply {
				f, err := m.ToArray()
				if err != nil || len(f) < 2 {
					continue
				}
				n, err := f[0].AsInt64()
				if err != nil || n < 1 || int(n) > len(part) {
					continue
				}
				elements := make([]string, len(f)-2)
				for i := range elements {
					elements[i] = text(f[i+2])
				}
				all = append(all, finding{lead: part[n-1], oldest: text(f[1]), elements: elements})
			}
		}
	}
	return all
}

func (q *Queue) dueCommand(lead string, now int64, skip int) rueidis.Completed {
	return q.client.B().Zrangebyscore().Key(lead+":due").Min("-inf").Max(strconv.FormatInt(now, 10)).
		Limit(int64(skip), expireAtOnce).Build()
}

// expireAll looks through inboxes of a bucket, and those that are due after them. An inbox that can't be looked through,
// because a key of another type is in the way, stays due and is passed over. It reports whether that worked.
func (q *Queue) expireAll(ctx context.Context, lead string, lists []string) bool {
	for skip := 0; ; {
		for _, list := range lists {
			err := q.lose(ctx, list, "expire", "0", "0")
			if e := (*rueidis.RedisError)(nil); errors.As(err, &e) && strings.Contains(e.Error(), "WRONGTYPE") {
				skip++
			} else if err != nil {
				return false
			}
		}
		if len(lists) < expireAtOnce {
			return true
		}
		var err error
		if lists, err = q.client.Do(ctx, q.dueCommand(lead, q.now(), skip)).AsStrSlice(); err != nil {
			return false
		}
	}
}

// age forgets what is past the dedupe window.
func (q *Queue) age(ctx context.Context, lead string) bool {
	keys := []string{lead + ":aging", lead + ":known", lead + ":forgot"}
	if q.keys.cluster {
		keys = append(keys, lead+"::none") // as of an inbox: the lists of receipts that stand apart can't be named beforehand
	}
	for {
		reply, err := q.run(ctx, "age", q.scripts.age, keys, []string{strconv.FormatInt(q.now(), 10)})
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
			if c := q.options.Counters; c != nil {
				c.Add(bachata.CountDedupeShortened, 1)
			}
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
	seen := make(map[string]time.Time)
	for {
		select {
		case <-q.ctx.Done():
			return
		case <-tick.C:
			q.sweepOut(seen)
		}
	}
}
