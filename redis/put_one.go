package redis

import (
	"context"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
)

// putOne puts items that all have ids and go to the same one channel, if nothing about that is special, and reports
// whether it did. Nothing was changed if not.
func (q *Queue) putOne(ctx context.Context, items []bachata.Item, results []bachata.PutResult) (done bool, err error) {
	if q.scripts.putOne == nil {
		return false, nil
	}
	for i := range items {
		m := &items[i]
		if m.ID.IsZero() || len(m.Channels) != 1 || m.Channels[0] != items[0].Channels[0] {
			return false, nil
		}
	}
	list := q.keys.list(items[0].Channels[0])
	keys := make([]string, 2, 8+len(items))
	args := make([]string, 3, 3+3*len(items))
	keys[0], keys[1] = list, list+"::state"
	var seen map[string]bool
	if len(items) > 1 {
		seen = make(map[string]bool, len(items))
	}
	bytes, differ := 0, false
	for i := range items {
		m := &items[i]
		if seen != nil { // of two messages with one id the second has another key
			if seen[m.ID.Text] {
				return false, nil
			}
			seen[m.ID.Text] = true
		}
		_, meta := encodeMeta(m, knownBy(m))
		bytes += len(m.Payload)
		keys = append(keys, list+":"+escapeID(m.ID.Text))
		args = append(args, meta, rueidis.BinaryString(m.Payload))
		differ = differ || m.Origin != items[0].Origin
	}
	args[0], args[1], args[2] = strconv.FormatInt(q.now(), 10), strconv.Itoa(bytes), items[0].Origin
	if differ {
		for i := range items {
			args = append(args, items[i].Origin)
		}
	}
	n, err := q.runInt(ctx, "put", q.scripts.putOne, keys, args)
	if err != nil || n == 0 {
		return false, err
	}
	for i := range results {
		results[i][0] = bachata.Stored
	}
	if n == 2 {
		q.age(ctx, q.keys.lead(q.keys.bucket(items[0].Channels[0])))
	}
	return true, nil
}
