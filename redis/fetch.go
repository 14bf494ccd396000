package redis

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/bachata-go/bachata"
)

const (
	fetchMessages = 512 // that one call of the script returns at most
	fetchBytes    = 4 << 20
)

// Fetch is bachata.Queue's. What it returns for the first time it moves to the list of what waits for confirmation.
func (q *Queue) Fetch(ctx context.Context, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
	if q.limits.Simple {
		return q.fetchSimple(ctx, channel, limit)
	}
	list := q.keys.list(channel)
	keys := q.keys.inbox(list)
	messages, bytes := limit.Messages, limit.Bytes
	if messages <= 0 {
		messages = math.MaxInt
	}
	if bytes <= 0 {
		bytes = math.MaxInt
	}
	var all []bachata.Envelope
	for {
		reply, err := q.run(ctx, "fetch", q.scripts.fetch, keys, []string{
			strconv.FormatInt(q.now(), 10), strconv.FormatUint(uint64(after), 10),
			strconv.Itoa(min(messages, fetchMessages)), strconv.Itoa(min(bytes, fetchBytes)),
		})
		if err != nil {
			return nil, err
		}
		if len(reply)%4 != 1 {
			return nil, q.failed(ctx, "fetch", errReply)
		}
		state, _ := reply[0].AsInt64()
		if state == 2 {
			if err := q.lose(ctx, list, "expire", "0", "0"); err != nil {
				return nil, err
			}
			continue
		}
		for i := 1; i < len(reply); i += 4 {
			e, ok := decode(channel, strings.TrimPrefix(text(reply[i]), list), text(reply[i+1]), text(reply[i+2]), text(reply[i+3]))
			if !ok {
				continue
			}
			if q.options.Shared && e.Kind == bachata.KindMessage && e.ID.IsZero() {
				asReceipt(&e)
			}
			if len(all) > 0 && len(e.Payload) > bytes {
				return all, nil
			}
			all = append(all, e)
			messages--
			bytes -= len(e.Payload)
			after = e.Cursor
		}
		if state == 0 || len(reply) == 1 || messages <= 0 || bytes <= 0 {
			return all, nil
		}
	}
}
