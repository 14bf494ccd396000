package redis

import (
	"encoding/binary"
	"math"
	"strings"
	"sync"

	"github.com/bachata-go/bachata"
)

// handedMost is of how many messages a queue notes what it was handed, twice over: 2 MB or so, 10 if names and ids are long.
const handedMost = 4096

// handed notes of messages that this node was handed, or woken with, what the server would have to read again to pop them:
// what is forgotten here, or was handed to another node, it does read. What is noted of a number never changes.
type handed struct {
	mu       sync.Mutex
	new, old map[handedAt]handedMessage
}

// handedAt names a message: no two of an inbox ever have the same number.
type handedAt struct {
	list   string
	number bachata.Cursor
}

// handedMessage is what a pop takes of a message: size `I4`, k, when the number was given `I6`; then, which several messages
// may have in common (sort), flags, origin `Hs`, and the names that meta ends with `Hs`; then its element.
type handedMessage struct {
	spelled string
	element int // where that begins
}

const (
	handedSize = 0
	handedK    = handedSize + 4
	handedSort = handedK + 12 + 6
)

func (m handedMessage) size() uint32 {
	return binary.BigEndian.Uint32([]byte(m.spelled[handedSize:handedK]))
}

func (m handedMessage) k() string { return m.spelled[handedK:][:12] }

func (m handedMessage) sort() string { return m.spelled[handedSort:m.element] }

// noteHanded notes of an entry that was handed out, t, what it says (e).
func (q *Queue) noteHanded(list string, e *bachata.Envelope, t *entry) {
	if e.Kind == bachata.KindMessage && !q.keys.cluster && !q.options.Shared {
		q.handed.add(list, e.Cursor, t)
	}
}

// elementEnd divides elements in a text.
const elementEnd = "\xff"

// handedLongest is how long what is noted of a message may be.
const handedLongest = 1 << 10

// add notes a message, unless there is something special about its receipt or its id, or its element holds the byte that
// divides elements, which no valid text does.
func (h *handed) add(list string, number bachata.Cursor, e *entry) {
	if len(e.meta) < metaLen || e.origin == "" || len(e.meta)+len(e.origin)+len(list)+len(e.suffix) > handedLongest {
		return
	}
	if e.suffix[1] == ':' || e.suffix[1] == '%' || strings.Contains(list, elementEnd) || strings.Contains(e.suffix, elementEnd) {
		return
	}
	flags, sizeK, names := e.meta[numberLen], e.meta[numberLen+1:metaLen], e.meta[metaLen:]
	if flags&(flagNoReceipt|flagID) != 0 {
		return
	}
	b := make([]byte, 0, handedSort+5+len(e.origin)+len(names)+len(list)+len(e.suffix))
	b = appendTime(append(b, sizeK...), int64(number>>11))
	b = appendName(append(b, flags), e.origin)
	b = appendName(b, names)
	m := handedMessage{element: len(b)}
	m.spelled = string(append(append(b, list...), e.suffix...))
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.new == nil || len(h.new) >= handedMost {
		h.new, h.old = make(map[handedAt]handedMessage), h.new
	}
	h.new[handedAt{list, number}] = m
}

// take returns what is noted of the messages with the numbers, and forgets it. It returns nil unless that is all of them.
func (h *handed) take(list string, keys []bachata.Key) []handedMessage {
	all := make([]handedMessage, 0, len(keys))
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range keys {
		at := handedAt{list, k.Cursor}
		m, ok := h.new[at]
		if !ok {
			m, ok = h.old[at]
		}
		if ok {
			all = append(all, m)
			delete(h.new, at)
			delete(h.old, at)
		}
	}
	if len(all) < len(keys) {
		return nil
	}
	return all
}

// joinHanded spells what pop takes of several messages: what their elements are, newest first; of each the number of its
// sort, a byte, and k; the sum of their sizes `I5`; and the sorts. It returns nil if there are too many of those.
func joinHanded(all []handedMessage) []string {
	var elements, ks, sorts []byte
	numbers := make(map[string]int, 1)
	size := uint64(0)
	for i, m := range all {
		n, ok := numbers[m.sort()]
		if !ok {
			n = len(numbers) + 1
			numbers[m.sort()] = n
			sorts = append(sorts, m.sort()...)
		}
		if n > math.MaxUint8 {
			return nil
		}
		ks = append(append(ks, byte(n)), m.k()...)
		size += uint64(m.size())
		if i > 0 {
			elements = append(elements, elementEnd...)
		}
		newest := all[len(all)-1-i]
		elements = append(elements, newest.spelled[newest.element:]...)
	}
	sum := binary.BigEndian.AppendUint64(nil, size)
	return []string{string(elements), string(ks), string(sum[3:]), string(sorts)}
}
