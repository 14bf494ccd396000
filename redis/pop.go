package redis

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
)

const popKeys = 256 // that one call of the script takes at most

// PopDelivered is bachata.Queue's. On one server removal and receipt are one commit; on a cluster the receipt is pending
// in the same commit and appended at once after it.
func (q *Queue) PopDelivered(ctx context.Context, channel, by string, keys []bachata.Key) ([]bachata.Popped, error) {
	if q.closed.Load() {
		return nil, bachata.ErrQueueClosed
	}
	popped := make([]bachata.Popped, len(keys))
	if q.limits.Simple {
		return popped, nil
	}
	list, history := q.keys.list(channel), q.history()
	for done := 0; done < len(keys); {
		part := keys[done:min(done+popKeys, len(keys))]
		m, err := q.pop(ctx, list, q.popArgs(list, channel, by, part))
		if err != nil {
			return nil, err
		}
		reply, err := m.ToArray()
		if m.IsInt64() || len(reply) == 1 { // all were found, and nothing else is to be done but what is in out
			for i, k := range part {
				popped[done+i] = bachata.Popped{Found: true, Cursor: k.Cursor}
			}
			if len(reply) == 1 {
				q.carry(ctx, list, reply[0])
			}
			done += len(part)
			continue
		}
		if err != nil {
			return nil, q.failed(ctx, "pop", err)
		}
		if len(reply) < 4 {
			return nil, q.failed(ctx, "pop", errReply)
		}
		if due, _ := reply[3].AsInt64(); due == 1 {
			if err := q.lose(ctx, list, "expire", "0", "0"); err != nil {
				return nil, err
			}
			continue
		}
		numbers, err := reply[0].AsIntSlice()
		if err != nil || len(numbers) != len(part) {
			return nil, q.failed(ctx, "pop", errReply)
		}
		for i, n := range numbers {
			popped[done+i] = bachata.Popped{Found: n != 0, Cursor: bachata.Cursor(n)}
		}
		if err := q.trim(ctx, reply[1]); err != nil {
			return nil, err
		}
		q.carry(ctx, list, reply[2])
		done += len(part)
	}
	if err := q.settleLevel(ctx, history); err != nil {
		return nil, err
	}
	return popped, nil
}

// pop has the server pop, and tell the origins.
func (q *Queue) pop(ctx context.Context, list string, args []string) (rueidis.RedisMessage, error) {
	if len(args) == 4 {
		m, err := q.gathered.pop.run(ctx, []string{list}, args)
		if err != nil {
			return m, err
		}
		if n, err := m.AsInt64(); err == nil && n == 1 {
			return m, nil
		}
	}
	return q.runMessage(ctx, "pop", q.scripts.pop, q.keys.inbox(list), args)
}

// popArgs spells what pop takes. If all keys are numbers, as nearly always, it is those, then a receipt up to its id as it is
// stored if nothing about it is special, and what the record of the message says of it; and then, but for a cluster, what is
// noted of the messages if they are noted.
func (q *Queue) popArgs(list, channel, by string, keys []bachata.Key) []string {
	now := q.now()
	named := slices.ContainsFunc(keys, func(k bachata.Key) bool { return k.Cursor == 0 || k.Cursor >= maxCursor })
	if named || q.options.Shared {
		return popArgs(now, by, keys)
	}
	numbers := make([]byte, 0, 8*len(keys))
	for _, k := range keys {
		numbers = appendNumber(numbers, uint64(k.Cursor))
	}
	report := appendName(appendTime([]byte{byte(bachata.OutcomeDelivered)}, now), by)
	receipt := appendNumber([]byte("::r"), uint64(now)<<11)
	receipt = appendTime(receipt, now)
	receipt = appendName(append(receipt, byte(bachata.OutcomeDelivered)<<1), by)
	receipt = appendName(receipt, channel)
	args := []string{string(numbers), string(receipt), string(report)}
	if q.keys.cluster {
		return args
	}
	noted := q.handed.take(list, keys)
	switch {
	case len(keys) > 1 && noted != nil:
		return append(args, joinHanded(noted)...)
	case len(keys) > 1:
		return args
	case noted != nil:
		return append(args, noted[0].spelled)
	}
	return append(args, "")
}

// popArgs spells what pop and check take.
func popArgs(now int64, by string, keys []bachata.Key) []string {
	args := make([]string, 0, 3+5*len(keys))
	args = append(args, strconv.FormatInt(now, 10), by, strconv.Itoa(len(keys)))
	for _, k := range keys {
		if k.Cursor >= maxCursor { // none has such a number, and Lua could not tell them apart
			k = bachata.Key{}
		}
		args = append(args, strconv.FormatUint(uint64(k.Cursor), 10), k.ID, escapeID(k.ID), k.From, k.Dest)
	}
	return args
}

// CheckDelivered is bachata.Queue's.
func (q *Queue) CheckDelivered(ctx context.Context, channel string, key bachata.Key) (bool, error) {
	if q.closed.Load() {
		return false, bachata.ErrQueueClosed
	}
	if q.limits.Simple {
		return true, nil
	}
	keys, args := q.keys.inbox(q.keys.list(channel)), popArgs(q.now(), "", []bachata.Key{key})
	waits, err := q.runInt(ctx, "check", q.scripts.check, keys, args)
	return waits == 0, err
}

// lose removes what has expired or must make room from an inbox, as often as it takes.
func (q *Queue) lose(ctx context.Context, list, what, messages, bytes string) error {
	for {
		args := []string{strconv.FormatInt(q.now(), 10), what, messages, bytes}
		reply, err := q.run(ctx, what, q.scripts.lose, q.keys.inbox(list), args)
		if err != nil {
			return err
		}
		if len(reply) < 3 {
			return q.failed(ctx, what, errReply)
		}
		q.carry(ctx, list, reply[2])
		if what != "trim" {
			if err := q.trim(ctx, reply[1]); err != nil {
				return err
			}
		}
		if more, _ := reply[0].AsInt64(); more == 0 {
			return nil
		}
	}
}

// trim has the inboxes whose lists are named lose the receipts past their bound.
func (q *Queue) trim(ctx context.Context, over rueidis.RedisMessage) error {
	lists, err := over.AsStrSlice()
	if err != nil {
		return nil
	}
	for _, list := range lists {
		if err := q.lose(ctx, list, "trim", "0", "0"); err != nil {
			return err
		}
	}
	return nil
}

// inbox returns the keys of the scripts that work on one inbox.
func (k keyspace) inbox(list string) []string {
	keys := []string{list, list + ":wait", list + "::state"}
	if k.cluster {
		keys = append(keys, list+"::same")
		keys = append(keys, k.globals(list)...)
		// No key has this name. While the slot moves, a server refuses scripts of which it has some keys and not all:
		// always, then, and so before the key of a message, which no script can name beforehand, is missed.
		keys = append(keys, list+"::none")
	}
	return keys
}

// globals returns the keys that a bucket has besides those of its channels, given one of its lists.
func (k keyspace) globals(list string) []string {
	lead := k.prefix
	if k.cluster {
		lead = list[:strings.IndexByte(list, '}')+1]
	}
	return []string{lead + ":known", lead + ":aging", lead + ":forgot", lead + ":due", lead + ":out"}
}

// text returns the text of a reply, empty if it has none.
func text(m rueidis.RedisMessage) string {
	s, _ := m.ToString()
	return s
}

// runInt is run for a script that returns a number.
func (q *Queue) runInt(ctx context.Context, verb string, s *rueidis.Lua, keys, args []string) (int64, error) {
	m, err := q.runMessage(ctx, verb, s, keys, args)
	if err != nil {
		return 0, err
	}
	n, err := m.AsInt64()
	if err != nil {
		return 0, q.failed(ctx, verb, err)
	}
	return n, nil
}
