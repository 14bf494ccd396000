package redis

import (
	"encoding/binary"
	"strings"
	"sync"

	"github.com/bachata-go/bachata"
)

// handedMost is of how many messages a queue notes what it was handed, twice over: 2 MB or so, unless their ids are long.
const handedMost = 4096

// handed notes of messages that this node was handed, or woken with, what the server would have to read again to pop them:
// what is forgotten here, or was handed to another node, it does read. What is noted of a number never changes.
type handed struct {
	mu       sync.Mutex
	new, old map[handedAt]string // as spelled by spellHanded
}

// handedAt names a message: no two of an inbox ever have the same number.
type handedAt struct {
	list   string
	number bachata.Cursor
}

// handedHead is what stands before the name of the origin and the element: flags, size, k, when the number was given.
const handedHead = metaLen - numberLen + 6

// spellHanded spells what a pop takes of a message: flags, size `I4`, k, when the number was given `I6`, origin `Hs`, element.
func spellHanded(list string, number bachata.Cursor, e *entry) string {
	b := make([]byte, 0, handedHead+2+len(e.origin)+len(list)+len(e.suffix))
	b = append(b, e.meta[numberLen:metaLen]...)
	b = appendTime(b, int64(number>>11))
	b = appendName(b, e.origin)
	b = append(b, list...)
	return string(append(b, e.suffix...))
}

// noteHanded notes of an entry that was handed out, t, what it says (e).
func (q *Queue) noteHanded(list string, e *bachata.Envelope, t *entry) {
	if e.Kind == bachata.KindMessage && !q.keys.cluster && !q.options.Shared {
		q.handed.add(list, e.Cursor, t)
	}
}

// add notes a message, unless there is something special about its receipt or its id, or its element holds the byte that
// divides elements, which no valid text does.
func (h *handed) add(list string, number bachata.Cursor, e *entry) {
	if len(e.meta) != metaLen || e.meta[numberLen] > flagNumber || e.origin == "" {
		return
	}
	if e.suffix[1] == ':' || e.suffix[1] == '%' || strings.Contains(list, elementEnd) || strings.Contains(e.suffix, elementEnd) {
		return
	}
	spelled := spellHanded(list, number, e)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.new == nil || len(h.new) >= handedMost {
		h.new, h.old = make(map[handedAt]string), h.new
	}
	h.new[handedAt{list, number}] = spelled
}

// take returns what is noted of the messages with the numbers, and forgets it. It returns nil unless that is all of them.
func (h *handed) take(list string, keys []bachata.Key) []string {
	all := make([]string, 0, len(keys))
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range keys {
		at := handedAt{list, k.Cursor}
		spelled, ok := h.new[at]
		if !ok {
			spelled, ok = h.old[at]
		}
		if ok {
			all = append(all, spelled)
			delete(h.new, at)
			delete(h.old, at)
		}
	}
	if len(all) < len(keys) {
		return nil
	}
	return all
}

// elementEnd divides elements in a text.
const elementEnd = "\xff"

// joinHanded spells what pop takes of several messages: the name of their origin, what their elements are, newest first,
// each k, and in one text flags and the sum of their sizes `I5`. It returns nil if they differ in origin or flags.
func joinHanded(all []string) []string {
	var elements, ks []byte
	size, origin, flags := uint64(0), "", byte(0)
	for i := range all {
		s := all[len(all)-1-i]
		n := handedHead + 2 + int(binary.BigEndian.Uint16([]byte(s[handedHead:])))
		if i == 0 {
			flags, origin = s[0], s[handedHead+2:n]
		} else {
			elements = append(elements, elementEnd...)
		}
		if flags != s[0] || origin != s[handedHead+2:n] {
			return nil
		}
		elements = append(elements, s[n:]...)
		ks = append(ks, all[i][5:17]...)
		size += uint64(binary.BigEndian.Uint32([]byte(s[1:])))
	}
	sum := binary.BigEndian.AppendUint64(nil, size)
	sum[2] = flags
	return []string{origin, string(elements), string(ks), string(sum[2:])}
}
