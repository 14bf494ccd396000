package redis

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
)

// putCluster puts items whose channels and origins are in different buckets, which no script can reach together: what is
// new is claimed where its origin is, put into each channel, and settled. What fails in between stays claimed, and is
// filled in when the same item is put again: each channel knows for itself what it has.
func (q *Queue) putCluster(ctx context.Context, items []bachata.Item, results []bachata.PutResult) error {
	if err := q.claim(ctx, items, results, false); err != nil {
		return err
	}
	// Receipts that are repeated are those of the moment: what comes before in the call is put before.
	seen := make(map[string]bool, len(items))
	start := 0
	for i := range items {
		m := &items[i]
		if m.ID.IsZero() || len(m.Channels) == 0 {
			continue
		}
		k := knownBy(m)
		if results[i][0] != bachata.Duplicate && !seen[k] {
			seen[k] = true
			continue
		}
		if err := q.putClaimed(ctx, items[start:i], results[start:i]); err != nil {
			return err
		}
		if err := q.claim(ctx, items[i:i+1], results[i:i+1], true); err != nil {
			return err
		}
		if start = i + 1; results[i][0] != bachata.Duplicate { // it was forgotten just now, or what it repeats has failed
			start = i
		}
	}
	return q.putClaimed(ctx, items[start:], results[start:])
}

// putClaimed puts what was claimed into its channels and settles it.
func (q *Queue) putClaimed(ctx context.Context, items []bachata.Item, results []bachata.PutResult) error {
	if len(items) == 0 {
		return nil
	}
	type target struct{ item, channel int }
	byBucket := make(map[int][]target)
	for i := range items {
		for j, channel := range items[i].Channels {
			b := q.keys.bucket(channel)
			byBucket[b] = append(byBucket[b], target{i, j})
		}
	}
	var failed firstError
	q.each(slices.Collect(maps.Keys(byBucket)), func(b int) {
		targets := byBucket[b]
		some := make([]bachata.Item, len(targets))
		statuses := make([]bachata.PutStatus, len(targets))
		res := make([]bachata.PutResult, len(targets))
		for i, t := range targets {
			some[i] = items[t.item]
			some[i].Channels = items[t.item].Channels[t.channel : t.channel+1]
			res[i] = statuses[i : i+1]
		}
		failed.note(q.putBucket(ctx, some, res))
		for i, t := range targets {
			results[t.item][t.channel] = statuses[i]
		}
	})
	if !anyStored(results) && failed.err != nil {
		return failed.err
	}
	q.settle(ctx, items, results)
	return nil
}

// firstError keeps the first error that it is given.
type firstError struct {
	mu  sync.Mutex
	err error
}

func (f *firstError) note(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

// each calls do for all buckets at the same time.
func (q *Queue) each(list []int, do func(bucket int)) {
	if len(list) == 1 || q.oneByOne {
		slices.Sort(list)
		for _, b := range list {
			do(b)
		}
		return
	}
	var wg sync.WaitGroup
	for _, b := range list {
		wg.Go(func() { do(b) })
	}
	wg.Wait()
}

// originCall collects keys and arguments of a script that works on the bucket of origins.
type originCall struct {
	keys, args []string
	lists      map[string]string // by origin: the index of its list in keys
	items      []int
}

// byOrigin groups what has ids by the bucket of its origin.
func (q *Queue) byOrigin(items []bachata.Item) map[int]*originCall {
	calls := make(map[int]*originCall)
	for i := range items {
		if items[i].ID.IsZero() || len(items[i].Channels) == 0 {
			continue
		}
		b := q.keys.bucket(items[i].Origin)
		if calls[b] == nil {
			calls[b] = q.newOriginCall(b)
		}
		calls[b].items = append(calls[b].items, i)
	}
	return calls
}

func (q *Queue) newOriginCall(bucket int) *originCall {
	lead := q.keys.lead(bucket)
	return &originCall{keys: q.keys.globals(lead), lists: make(map[string]string)}
}

// list returns the index of the list of origin, 0 if there is none, and declares its keys if it is new.
func (c *originCall) list(q *Queue, origin string) string {
	if origin == "" {
		return "0"
	}
	if at, ok := c.lists[origin]; ok {
		return at
	}
	list := q.keys.list(origin)
	c.keys = append(c.keys, list, list+":wait", list+"::state")
	at := strconv.Itoa(len(c.keys) - 2)
	c.lists[origin] = at
	return at
}

func flag(is bool) string {
	if is {
		return "1"
	}
	return "0"
}

// claim marks what is known as Duplicate, with repeat after its receipts were repeated, and remembers the rest.
func (q *Queue) claim(ctx context.Context, items []bachata.Item, results []bachata.PutResult, repeat bool) error {
	calls := q.byOrigin(items)
	var failed firstError
	q.each(slices.Collect(maps.Keys(calls)), func(b int) {
		c := calls[b]
		if !repeat {
			if done, err := q.claimNew(ctx, b, items, c.items); done || err != nil {
				failed.note(err)
				return // all are unavailable for now
			}
		}
		c.args = append(c.args, strconv.FormatInt(q.now(), 10), strconv.Itoa(len(c.items)), flag(repeat))
		for _, i := range c.items {
			m := &items[i]
			k := knownBy(m)
			c.args = append(c.args, c.list(q, m.Origin), k, m.ID.Text, m.Dest, flag(m.ID.Number), strconv.Itoa(len(m.Channels)))
			c.keys = append(c.keys, q.keys.told(b, k))
		}
		reply, err := q.run(ctx, "claim", q.scripts.claim, c.keys, c.args)
		if err == nil && (len(reply) < 3 || len(text(reply[0])) != len(c.items)) {
			err = q.failed(ctx, "claim", errReply)
		}
		if err != nil {
			failed.note(err)
			return
		}
		for n, i := range c.items {
			status := bachata.Unavailable // for now
			if text(reply[0])[n] == '2' {
				status = bachata.Duplicate
			}
			for j := range results[i] {
				results[i][j] = status
			}
		}
		failed.note(q.trim(ctx, reply[1]))
		if at, err := strconv.ParseInt(text(reply[2]), 10, 64); err == nil {
			q.noteForgot(at)
		}
	})
	return failed.err
}

// claimNew claims items, those with the indexes which, of whose origins all are in the bucket, and reports whether it did. It did
// not, and nothing was changed, if any is known, or goes to many.
func (q *Queue) claimNew(ctx context.Context, bucket int, items []bachata.Item, which []int) (done bool, err error) {
	lead, now := q.keys.lead(bucket), q.now()
	args := make([]string, 0, 2*len(which))
	var seen map[string]bool
	if len(which) > 1 {
		seen = make(map[string]bool, len(which))
	}
	for _, i := range which {
		m := &items[i]
		k := knownBy(m)
		if len(m.Channels) > q.many || seen[k] {
			return false, nil
		}
		if seen != nil {
			seen[k] = true
		}
		record := appendTime(make([]byte, 0, 9), now)
		aging := string(record) + k
		record = append(record, flagPartly, 0, byte(len(m.Channels)))
		if m.ID.Number {
			record[6] |= flagNumber
		}
		args = append(args, aging, string(record))
	}
	n, err := q.runInt(ctx, "claim", q.scripts.claimNew, []string{lead + ":known", lead + ":aging"}, args)
	if n == 2 {
		q.age(ctx, lead)
	}
	return n > 0, err
}

// settle ends the claims of what every channel has answered. What fails is stored all the same; the same item put again finds
// that out.
func (q *Queue) settle(ctx context.Context, items []bachata.Item, results []bachata.PutResult) {
	calls := q.byOrigin(items)
	q.each(slices.Collect(maps.Keys(calls)), func(b int) {
		c := calls[b]
		var which []int
		var ks []string
		full := false
		for _, i := range c.items {
			if !slices.Contains(results[i], bachata.Unavailable) {
				which, ks = append(which, i), append(ks, knownBy(&items[i]))
				full = full || slices.Contains(results[i], bachata.Full)
			}
		}
		if len(which) == 0 {
			return
		}
		if !full {
			if done, err := q.settleNew(ctx, b, ks); done || err != nil {
				return
			}
		}
		for n, i := range which {
			q.settleArgs(b, c, &items[i], results[i], ks[n])
		}
		args := append([]string{strconv.FormatInt(q.now(), 10), strconv.Itoa(len(which))}, c.args...)
		if reply, err := q.run(ctx, "settle", q.scripts.settle, c.keys, args); err == nil && len(reply) > 0 {
			_ = q.trim(ctx, reply[0]) // the next receipt there tries it again
		}
	})
}

// settleArgs spells what settle takes of an item.
func (q *Queue) settleArgs(bucket int, c *originCall, m *bachata.Item, result bachata.PutResult, k string) {
	taken := false
	var full []string
	for j, s := range result {
		taken = taken || s == bachata.Stored || s == bachata.Duplicate
		if s == bachata.Full {
			full = append(full, m.Channels[j])
		}
	}
	origin := m.Origin
	if m.NoReceipt {
		origin = ""
	}
	c.args = append(c.args, c.list(q, origin), k, m.ID.Text, m.Dest, flag(m.ID.Number), flag(taken), strconv.Itoa(len(full)))
	c.args = append(c.args, full...)
	c.keys = append(c.keys, q.keys.told(bucket, k))
}

// settleNew ends claims of messages that every channel has taken, and reports whether it did. Nothing was changed if not.
func (q *Queue) settleNew(ctx context.Context, bucket int, ks []string) (done bool, err error) {
	args := append([]string{string(appendTime(nil, q.now()))}, ks...)
	n, err := q.runInt(ctx, "settle", q.scripts.settleNew, []string{q.keys.lead(bucket) + ":known"}, args)
	return n == 1, err
}

// indexes of what globals returns.
const globalOut = 4

// entriesOf reads the elements of a list out.
func entriesOf(out []rueidis.RedisMessage) []pending {
	var all []pending
	for _, m := range out {
		if p, ok := readPending(text(m)); ok {
			all = append(all, p)
		}
	}
	return all
}
