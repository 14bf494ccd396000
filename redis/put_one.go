package redis

import (
	"context"
	"encoding/binary"
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
	now := q.now()
	list := q.keys.list(items[0].Channels[0])
	keys := make([]string, 2, 8+len(items))
	args := make([]string, 2, 2+5*len(items))
	keys[0], keys[1] = list, list+"::state"
	mark := ""
	if q.keys.cluster {
		mark = list
	}
	var seen map[string]bool
	if len(items) > 1 {
		seen = make(map[string]bool, len(items))
	}
	bytes := 0
	for i := range items {
		m := &items[i]
		k := knownBy(m)
		if seen != nil { // of two messages with one id the second has another key
			if seen[m.ID.Text] {
				return false, nil
			}
			seen[m.ID.Text] = true
		}
		flags, meta := encodeMeta(m, k)
		var record [9]byte // accepted, flags, waits in one inbox
		binary.BigEndian.PutUint64(record[:8], uint64(now)<<16)
		record[6], record[7], record[8] = flags&flagNumber, 0, 1
		bytes += len(m.Payload)
		keys = append(keys, list+":"+escapeID(m.ID.Text))
		args = append(args, string(record[:6])+k+mark, string(record[:]), m.Origin, meta, rueidis.BinaryString(m.Payload))
	}
	args[0], args[1] = strconv.FormatInt(now, 10), strconv.Itoa(bytes)
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
