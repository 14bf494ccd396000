package redis

import (
	"context"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
)

// putSimple puts items into lists of texts. On a cluster each list is a call of its own.
func (q *Queue) putSimple(ctx context.Context, items []bachata.Item, results []bachata.PutResult) error {
	if !q.keys.cluster {
		return q.putTexts(ctx, items, results)
	}
	var failed error
	for i := range items {
		for j, channel := range items[i].Channels {
			one := items[i]
			one.Channels = []string{channel}
			if err := q.putTexts(ctx, []bachata.Item{one}, []bachata.PutResult{results[i][j : j+1]}); err != nil {
				failed = err
			}
		}
	}
	return failed
}

func (q *Queue) putTexts(ctx context.Context, items []bachata.Item, results []bachata.PutResult) error {
	args := []string{strconv.FormatInt(q.now(), 10), strconv.Itoa(len(items))}
	var keys []string
	at := map[string]string{}
	for i := range items {
		m := &items[i]
		args = append(args, rueidis.BinaryString(m.Payload), strconv.Itoa(len(m.Channels)))
		for _, channel := range m.Channels {
			if at[channel] == "" {
				list := q.keys.list(channel)
				keys = append(keys, list)
				at[channel] = strconv.Itoa(len(keys))
				keys = append(keys, list+"::ages", list+"::state")
			}
			args = append(args, at[channel])
		}
	}
	reply, err := q.runMessage(ctx, "put", q.scripts.simplePut, keys, args)
	if err != nil {
		return err
	}
	if n, err := readStatuses(reply, results); err != nil || n != len(items) {
		return q.failed(ctx, "put", errReply)
	}
	return nil
}

// fetchSimple takes the oldest texts off the list. Once it has begun, it does not end with the caller's context: what is
// taken must reach somebody.
func (q *Queue) fetchSimple(ctx context.Context, channel string, limit bachata.Limit) ([]bachata.Envelope, error) {
	if err := ctx.Err(); err != nil {
		return nil, q.failed(ctx, "fetch", err)
	}
	list := q.keys.list(channel)
	messages, bytes := limit.Messages, limit.Bytes
	bounded := messages > 0 || bytes > 0
	if messages <= 0 || messages > fetchMessages {
		messages = fetchMessages
	}
	if bytes <= 0 || bytes > fetchBytes {
		bytes = fetchBytes
	}
	var all []bachata.Envelope
	for {
		reply, err := q.run(q.ctx, "fetch", q.scripts.simpleFetch, []string{list, list + "::ages", list + "::state"},
			[]string{strconv.FormatInt(q.now(), 10), strconv.Itoa(messages), strconv.Itoa(bytes)})
		if err != nil {
			if len(all) > 0 { // they are gone from the server: what was taken must be handed out
				return all, nil
			}
			return nil, err
		}
		for _, m := range reply {
			payload := text(m)
			if q.options.Shared && !isObject(payload) {
				continue // '!' and other things that are not messages
			}
			all = append(all, bachata.Envelope{Payload: []byte(payload)})
		}
		if len(reply) == 0 || bounded {
			return all, nil
		}
	}
}
