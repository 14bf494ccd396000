package redis

import (
	"context"
	"encoding/binary"
	"math"
	"strings"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
)

const (
	fetchMessages = 512 // that one call of the script returns at most
	fetchBytes    = 4 << 20
)

// maxCursor is larger than every number that an entry can have: Lua could not tell larger ones apart.
const maxCursor = 1 << 53

// Fetch is bachata.Queue's. What it returns for the first time it moves to the list of what waits for confirmation.
func (q *Queue) Fetch(ctx context.Context, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
	if q.limits.Simple {
		return q.fetchSimple(ctx, channel, limit)
	}
	list := q.keys.list(channel)
	messages, bytes := limit.Messages, limit.Bytes
	if messages <= 0 {
		messages = math.MaxInt
	}
	if bytes <= 0 {
		bytes = math.MaxInt
	}
	var all []bachata.Envelope
	for {
		state, reply, err := q.handOut(ctx, list, after, messages, bytes)
		if err != nil {
			return nil, err
		}
		if state == 2 {
			if err := q.lose(ctx, list, "expire", "0", "0"); err != nil {
				return nil, err
			}
			continue
		}
		for i := 0; i < len(reply); i += 4 {
			t := entry{strings.TrimPrefix(text(reply[i]), list), text(reply[i+1]), text(reply[i+2]), text(reply[i+3])}
			e, ok := t.decode(channel)
			if !ok { // trash that looks like an entry, if only from afar
				after = max(after, e.Cursor)
				continue
			}
			if q.options.Shared && e.Kind == bachata.KindMessage && e.ID.IsZero() {
				asReceipt(&e)
			}
			if len(all) > 0 && len(e.Payload) > bytes {
				return all, nil
			}
			all = append(all, e)
			q.noteHanded(list, &e, &t)
			messages--
			bytes -= len(e.Payload)
			after = e.Cursor
		}
		if state == 0 || len(reply) == 0 || messages <= 0 || bytes <= 0 {
			return all, nil
		}
	}
}

// handOut has the server hand out what follows on after. It returns the state that the script fetch returns, and four texts
// for each entry: element, origin, meta, text.
func (q *Queue) handOut(ctx context.Context, list string, after bachata.Cursor, messages, bytes int) (int64, []rueidis.RedisMessage, error) {
	args := q.fetchArgs(after, messages, bytes)
	if messages == 1 && !q.keys.cluster && !q.options.Shared {
		m, err := q.gathered.fetch.run(ctx, []string{list}, args)
		if err != nil {
			return 0, nil, err
		}
		if one, err := m.ToArray(); err == nil && len(one) == 4 {
			return 1, []rueidis.RedisMessage{one[3], one[1], one[2], one[0]}, nil
		} else if err == nil {
			return 0, nil, nil
		}
	}
	reply, err := q.run(ctx, "fetch", q.scripts.fetch, q.keys.inbox(list), args)
	if err != nil {
		return 0, nil, err
	}
	if len(reply)%4 != 1 {
		return 0, nil, q.failed(ctx, "fetch", errReply)
	}
	state, _ := reply[0].AsInt64()
	return state, reply[1:], nil
}

// fetchArgs spells what fetch takes, in one text: that costs the server least.
func (q *Queue) fetchArgs(after bachata.Cursor, messages, bytes int) []string {
	b := appendTime(make([]byte, 0, 24), q.now())
	b = appendNumber(b, min(uint64(after), maxCursor))
	b = binary.BigEndian.AppendUint32(b, uint32(min(messages, fetchMessages)))
	b = binary.BigEndian.AppendUint32(b, uint32(min(bytes, fetchBytes)))
	return []string{string(b)}
}
