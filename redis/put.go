package redis

import (
	"context"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
)

// What one call of a script puts at most, so that none holds up the server for long.
const (
	putItems = 256
	putBytes = 1 << 20
	putKeys  = 2000
)

// Put is bachata.Queue's. On one server an item is committed to all its channels at once; on a cluster each channel is
// committed by itself.
func (q *Queue) Put(ctx context.Context, items []bachata.Item) ([]bachata.PutResult, error) {
	results := make([]bachata.PutResult, len(items))
	n := 0
	for i := range items {
		n += len(items[i].Channels)
	}
	statuses := make([]bachata.PutStatus, n) // all Unavailable
	for i := range items {
		k := len(items[i].Channels)
		results[i], statuses = statuses[:k:k], statuses[k:]
	}
	if q.closed.Load() {
		return nil, bachata.ErrQueueClosed
	}
	history := q.history()
	for done := 0; done < len(items); {
		end := portion(items, done)
		err := q.putSome(ctx, items[done:end], results[done:end])
		if err != nil {
			if done == 0 && !anyStored(results[:end]) {
				return nil, err
			}
			break // the rest is Unavailable
		}
		done = end
	}
	if err := q.settleLevel(ctx, history); err != nil {
		return nil, err
	}
	unavailableAfter(items, results)
	return results, nil
}

func (q *Queue) putSome(ctx context.Context, items []bachata.Item, results []bachata.PutResult) error {
	switch {
	case q.limits.Simple:
		return q.putSimple(ctx, items, results)
	case q.keys.cluster:
		return q.putCluster(ctx, items, results)
	}
	return q.putBucket(ctx, items, results)
}

// portion returns the end of what is put together with the item at start.
func portion(items []bachata.Item, start int) int {
	bytes, keys := 0, 0
	for i := start; i < len(items); i++ {
		bytes += len(items[i].Payload)
		keys += 2 * len(items[i].Channels)
		if i > start && (i-start >= putItems || bytes > putBytes || keys > putKeys) {
			return i
		}
	}
	return len(items)
}

func anyStored(results []bachata.PutResult) bool {
	for _, r := range results {
		for _, s := range r {
			if s != bachata.Unavailable {
				return true
			}
		}
	}
	return false
}

// unavailableAfter sees to it that what follows on an unavailable item is unavailable on that channel too.
func unavailableAfter(items []bachata.Item, results []bachata.PutResult) {
	var down map[string]bool
	for i, r := range results {
		for j, s := range r {
			channel := items[i].Channels[j]
			if s == bachata.Unavailable {
				if down == nil {
					down = make(map[string]bool)
				}
				down[channel] = true
			} else if down[channel] {
				r[j] = bachata.Unavailable
			}
		}
	}
}

// putBucket puts items whose channels, and origins, are all in one place.
func (q *Queue) putBucket(ctx context.Context, items []bachata.Item, results []bachata.PutResult) error {
	if done, err := q.putSimilar(ctx, items, results); done || err != nil {
		return err
	}
	for len(items) > 0 {
		var c putCall
		c.build(q, items)
		reply, err := q.run(ctx, "put", q.scripts.put, c.keys, c.args)
		if err != nil {
			return err
		}
		if len(reply) < 4 {
			return q.failed(ctx, "put", errReply)
		}
		done, err := readStatuses(reply[0], results)
		if err != nil {
			return q.failed(ctx, "put", err)
		}
		if err := q.trim(ctx, reply[2]); err != nil {
			return err
		}
		if at, err := strconv.ParseInt(text(reply[3]), 10, 64); err == nil {
			q.noteForgot(at)
		}
		items, results = items[done:], results[done:]
		if len(items) > 0 {
			if err := q.makeReady(ctx, reply[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeReady does what the script for put asks for before it goes on.
func (q *Queue) makeReady(ctx context.Context, wanting rueidis.RedisMessage) error {
	w, err := wanting.AsStrSlice()
	if err != nil || len(w) < 2 {
		return q.failed(ctx, "put", errReply)
	}
	if w[0] == "room" && len(w) == 4 {
		return q.lose(ctx, w[1], "room", w[2], w[3])
	}
	for _, list := range w[1:] {
		if err := q.lose(ctx, list, "expire", "0", "0"); err != nil {
			return err
		}
	}
	return nil
}

// putCall collects keys and arguments of the script for put.
type putCall struct {
	keys, args []string
	lists      map[string]string // by channel: the index of its list in keys
}

func (c *putCall) build(q *Queue, items []bachata.Item) {
	c.keys = make([]string, 0, 4*len(items)+8)
	c.args = make([]string, 0, 12*len(items)+2)
	c.lists = make(map[string]string, 4)
	c.args = append(c.args, strconv.FormatInt(q.now(), 10), strconv.Itoa(len(items)))
	for i := range items {
		m := &items[i]
		k := ""
		if !m.ID.IsZero() {
			k = knownBy(m)
		}
		flags, meta := encodeMeta(m, k)
		c.args = append(c.args, k, m.Origin, m.ID.Text, m.Dest, strconv.Itoa(int(flags)), meta,
			rueidis.BinaryString(m.Payload), strconv.Itoa(len(m.Channels)))
		id := escapeID(m.ID.Text)
		for _, channel := range m.Channels {
			list := c.list(q, channel)
			key := "0"
			if k != "" {
				at, _ := strconv.Atoi(list)
				c.keys = append(c.keys, c.keys[at-1]+":"+id)
				key = strconv.Itoa(len(c.keys))
			}
			c.args = append(c.args, list, key)
		}
	}
	if q.keys.cluster {
		c.keys = append(c.keys, q.keys.globals(c.keys[0])...)
	}
}

// list returns the index of the list of channel, and declares its keys if it is new.
func (c *putCall) list(q *Queue, channel string) string {
	if at, ok := c.lists[channel]; ok {
		return at
	}
	list := q.keys.list(channel)
	c.keys = append(c.keys, list, list+"::state")
	at := strconv.Itoa(len(c.keys) - 1)
	if q.keys.cluster {
		c.keys = append(c.keys, list+":wait", list+"::same")
	}
	c.lists[channel] = at
	return at
}

// readStatuses reads the texts of one digit a channel and returns how many there are.
func readStatuses(reply rueidis.RedisMessage, results []bachata.PutResult) (int, error) {
	texts, err := reply.AsStrSlice()
	if err != nil {
		return 0, err
	}
	if len(texts) > len(results) {
		return 0, errReply
	}
	for i, text := range texts {
		if len(text) != len(results[i]) {
			return 0, errReply
		}
		for j := range len(text) {
			results[i][j] = bachata.PutStatus(text[j] - '0')
		}
	}
	return len(texts), nil
}
