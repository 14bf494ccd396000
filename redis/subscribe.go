package redis

import (
	"context"
	"encoding/binary"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
)

// atOnce is how many channels one command names at most.
const atOnce = 1000

// reconcile subscribes and unsubscribes what has to be. The error says why some of it did not work.
func (w *watcher) reconcile() error {
	w.dropLines()
	w.mu.Lock()
	add, remove := w.add, w.remove
	w.add, w.remove = make(map[string]*subscription), make(map[string]*line)
	w.mu.Unlock()
	w.unsubscribe(remove)
	if len(add) == 0 {
		return nil
	}
	where, err := w.q.locate(w.q.ctx)
	if err != nil {
		w.again(add)
		return err
	}
	// All of a bucket go to one place, and into one command: the server wants one slot in each.
	groups := make(map[string]map[int][]*subscription)
	for _, s := range add {
		address := where.address(s.bucket)
		if groups[address] == nil {
			groups[address] = make(map[int][]*subscription)
		}
		groups[address][s.bucket] = append(groups[address][s.bucket], s)
	}
	var failed firstError
	for address, byBucket := range groups {
		l := w.lines[address]
		if l == nil {
			if l, err = w.openLine(address, where.nodes[address]); err != nil {
				for _, list := range byBucket {
					w.againAll(list)
				}
				failed.note(err)
				continue
			}
			w.lines[address] = l
		}
		failed.note(w.subscribe(l, byBucket))
	}
	return failed.err
}

// dropLines closes the connections that ended and has their channels subscribed anew.
func (w *watcher) dropLines() {
	w.mu.Lock()
	lost := w.lost
	w.lost = nil
	for _, l := range lost {
		for list, s := range w.channels {
			if s.on == l {
				s.on = nil
				w.add[list] = s
			}
		}
	}
	w.mu.Unlock()
	for _, l := range lost {
		if w.lines[l.address] == l {
			delete(w.lines, l.address)
		}
		l.close()
	}
}

// subscribe has l subscribe what byBucket holds, and looks at the inboxes when that is confirmed.
func (w *watcher) subscribe(l *line, byBucket map[int][]*subscription) error {
	var commands []rueidis.Completed
	var parts [][]*subscription
	for _, list := range byBucket {
		for len(list) > 0 {
			part := list[:min(atOnce, len(list))]
			list = list[len(part):]
			names := make([]string, len(part))
			for i, s := range part {
				names[i] = s.list + wakeSuffix
			}
			commands = append(commands, l.client.B().Ssubscribe().Channel(names...).Build())
			parts = append(parts, part)
		}
	}
	// Noted before it is confirmed: should the server end one at once, dropped must know where it was.
	w.mu.Lock()
	for _, part := range parts {
		for _, s := range part {
			s.on = l
		}
	}
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(w.q.ctx, w.q.options.Timeout+time.Second)
	defer cancel()
	var failed firstError
	var confirmed []*subscription
	for i, r := range l.client.DoMulti(ctx, commands...) {
		err := r.Error()
		if err == nil {
			confirmed = append(confirmed, parts[i]...)
			continue
		}
		failed.note(err)
		w.mu.Lock()
		for _, s := range parts[i] {
			s.on = nil
		}
		w.mu.Unlock()
		w.againAll(parts[i])
		if _, redis := rueidis.IsRedisErr(err); !redis {
			w.ended(l)
		}
	}
	w.sweep(confirmed, true)
	return failed.err
}

// unsubscribe ends what nobody watches any more.
func (w *watcher) unsubscribe(remove map[string]*line) {
	names := make(map[*line][]string)
	w.mu.Lock()
	for list, l := range remove {
		if s := w.channels[list]; s == nil || s.on != l { // else it is watched again
			names[l] = append(names[l], list+wakeSuffix)
		}
	}
	w.mu.Unlock()
	for l, list := range names {
		if l.over.Load() {
			continue
		}
		ctx, cancel := context.WithTimeout(w.q.ctx, w.q.options.Timeout)
		var commands []rueidis.Completed
		for _, part := range w.q.keys.bySlot(list) {
			commands = append(commands, l.client.B().Sunsubscribe().Channel(part...).Build())
		}
		for _, r := range l.client.DoMulti(ctx, commands...) {
			if err := r.Error(); err != nil {
				if _, redis := rueidis.IsRedisErr(err); !redis {
					w.ended(l)
				}
			}
		}
		cancel()
	}
}

// bySlot divides names, which begin with keys, into parts that one command may name.
func (k keyspace) bySlot(names []string) [][]string {
	tags := make(map[string][]string)
	var parts [][]string
	for _, name := range names {
		tag := ""
		if k.cluster {
			tag = name[:strings.IndexByte(name, '}')+1]
		}
		tags[tag] = append(tags[tag], name)
	}
	for _, all := range tags {
		for len(all) > 0 {
			n := min(atOnce, len(all))
			parts = append(parts, all[:n])
			all = all[n:]
		}
	}
	return parts
}

func (w *watcher) again(add map[string]*subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for list, s := range add {
		if w.channels[list] == s && s.on == nil {
			w.add[list] = s
		}
	}
}

func (w *watcher) againAll(list []*subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range list {
		if w.channels[s.list] == s && s.on == nil {
			w.add[s.list] = s
		}
	}
}

// sweep looks at inboxes and wakes who watches those that hold something; without all, only those in which something
// is new since they were looked at last.
func (w *watcher) sweep(list []*subscription, all bool) {
	if w.q.options.Shared {
		w.lengths(list)
		return
	}
	byBucket := make(map[int][]*subscription)
	for _, s := range list {
		byBucket[s.bucket] = append(byBucket[s.bucket], s)
	}
	var commands []rueidis.Completed
	var parts [][]*subscription
	for _, list := range byBucket {
		for len(list) > 0 {
			part := list[:min(atOnce, len(list))]
			list = list[len(part):]
			keys := make([]string, len(part))
			for i, s := range part {
				keys[i] = s.list + "::state"
			}
			commands = append(commands, w.q.client.B().Mget().Key(keys...).Build())
			parts = append(parts, part)
		}
	}
	if len(commands) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(w.q.ctx, w.q.options.Timeout)
	defer cancel()
	for i, r := range w.q.client.DoMulti(ctx, commands...) {
		states, err := r.ToArray()
		if err != nil {
			for _, s := range w.subscribed(parts[i]) { // not known: let them look for themselves
				w.wake(s)
			}
			continue
		}
		for j, m := range states {
			s := parts[i][j]
			if n, holds := readState(text(m)); holds && (w.saw(s, n) || all) {
				w.wake(s)
			}
		}
	}
}

// saw notes what an inbox told when it was looked at, and reports whether that is new.
func (w *watcher) saw(s *subscription, n uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := s.seen
	s.seen = n
	return before != n
}

func (w *watcher) wake(s *subscription) {
	w.watchers.Wake(s.channel, func() bachata.Wake { return bachata.Wake{} })
}

// readState returns the last number of an inbox and whether it holds anything (KEYS.md, "State").
func readState(state string) (n uint64, holds bool) {
	if len(state) != 42 {
		return 0, false
	}
	var b [8]byte
	copy(b[1:], state[:7])
	messages := state[14:18]
	receipts, gaps := state[23:27], state[39:42]
	return binary.BigEndian.Uint64(b[:]), strings.Trim(messages+receipts+gaps, "\x00") != ""
}
