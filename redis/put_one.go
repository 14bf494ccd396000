package redis

import (
	"context"
	"encoding/binary"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
)

// putSimilar puts items that all have ids and go to the same one channel, if nothing about that is special, and reports
// whether it did. Nothing was changed if not.
func (q *Queue) putSimilar(ctx context.Context, items []bachata.Item, results []bachata.PutResult) (done bool, err error) {
	if q.options.Shared {
		return false, nil
	}
	for i := range items {
		m := &items[i]
		if m.ID.IsZero() || len(m.Channels) != 1 || m.Channels[0] != items[0].Channels[0] {
			return false, nil
		}
	}
	n, err := q.runPut(ctx, items)
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

// runPut has the server put items and returns what the script did.
func (q *Queue) runPut(ctx context.Context, items []bachata.Item) (int64, error) {
	if len(items) == 1 {
		keys, args := q.putOneCall(&items[0])
		reply, err := q.gathered.put.run(ctx, keys, args)
		if err != nil {
			return 0, err
		}
		return reply.AsInt64()
	}
	keys, args := q.putSameCall(items)
	if keys == nil {
		return 0, nil
	}
	return q.runInt(ctx, "put", q.scripts.putSame, keys, args)
}

// putOneCall spells what put_one takes for one item: all that the server needs to store, as it is stored.
func (q *Queue) putOneCall(m *bachata.Item) (keys, args []string) {
	list := q.keys.list(m.Channels[0])
	suffix := ":" + escapeID(m.ID.Text)
	k := knownBy(m)
	flags, rest := encodeMeta(m, k)
	now := q.now()

	record := appendTime(make([]byte, 0, 9), now)
	aging := string(record) + k
	if q.keys.cluster {
		aging += list
	}
	record = append(record, flags&flagNumber, 0, 1) // waits in one inbox
	entry := appendName(append(make([]byte, 0, 128), 'm'), suffix)
	entry = appendName(entry, m.Origin)
	entry = binary.BigEndian.AppendUint16(entry, uint16(numberLen+len(rest)))
	entry = append(appendNumber(entry, uint64(now)<<11), rest...)
	keys = []string{list, list + suffix}
	if q.keys.cluster {
		keys = append(keys, list+"::state")
	}
	return keys, []string{aging, string(record), m.Origin, string(entry), rueidis.BinaryString(m.Payload)}
}

// putSameCall spells what put_same takes, or returns nil if two items have the same id: of those the second has another key.
func (q *Queue) putSameCall(items []bachata.Item) (keys, args []string) {
	list := q.keys.list(items[0].Channels[0])
	keys = append(make([]string, 0, 2+len(items)), list, list+"::state")
	args = make([]string, 3, 3+3*len(items))
	seen := make(map[string]bool, len(items))
	bytes, differ, now := 0, false, q.now()
	for i := range items {
		m := &items[i]
		if seen[m.ID.Text] {
			return nil, nil
		}
		seen[m.ID.Text] = true
		_, rest := encodeMeta(m, knownBy(m))
		meta := append(appendNumber(make([]byte, 0, 64), uint64(now)<<11+2*uint64(i)), rest...)
		bytes += len(m.Payload)
		keys = append(keys, list+":"+escapeID(m.ID.Text))
		args = append(args, string(meta), rueidis.BinaryString(m.Payload))
		differ = differ || m.Origin != items[0].Origin
	}
	args[0], args[1], args[2] = strconv.FormatInt(now, 10), strconv.Itoa(bytes), items[0].Origin
	if differ {
		for i := range items {
			args = append(args, items[i].Origin)
		}
	}
	return keys, args
}
