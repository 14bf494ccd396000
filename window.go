package bachata

// window keeps what was written to a socket and has not left the inbox yet, in the order of writing. Its session
// guards it.
type window struct {
	entries  []written // entries[:head] are removed
	head     int
	matched  int // no 200 can mean one of entries[:matched]
	removed  int // of entries[head:]
	gone     int // of entries[head:]
	messages int // outstanding: neither removed nor gone
	bytes    int
}

// written is one envelope that was written to a socket. It holds hashes of the names (Center.hash), so that an
// outstanding message costs 48 bytes and pins nothing of what was written.
type written struct {
	cursor Cursor
	id     uint64 // zero: leaves by the barrier, not by a 200
	from   uint64
	dest   uint64
	proof  uint64 // the ping that proves its arrival, if there is no id
	size   int32
	state  writtenState
}

type writtenState uint8

const (
	waiting    writtenState = iota // for a 200, or for a pong
	confirming                     // a pop is in flight
	unpopped                       // confirmed, but the pop failed: to be tried again
	gone                           // confirmed by another socket; its own 200 is still to come and means nothing
	removed
)

// room returns what may be written beside what is outstanding.
func (w *window) room(limit Limit) Limit {
	return Limit{Messages: limit.Messages - w.messages, Bytes: limit.Bytes - w.bytes}
}

func (w *window) add(e written) {
	w.entries = append(w.entries, e)
	w.messages++
	w.bytes += int(e.size)
}

// match finds the oldest entry that a 200 for id can mean, from and dest compared where they are not zero. It returns
// nil if nothing here matches.
func (w *window) match(id, from, dest uint64) *written {
	i := max(w.head, w.matched)
	for i < len(w.entries) && !w.entries[i].unconfirmed() {
		i++ // nothing comes back from another state
	}
	if i != w.matched { // calm is not written to
		w.matched = i
	}
	for ; i < len(w.entries); i++ {
		e := &w.entries[i]
		if e.id == id && e.unconfirmed() && (from == 0 || e.from == from) && (dest == 0 || e.dest == dest) {
			return e
		}
	}
	return nil
}

// unconfirmed reports whether the 200 of e, if there is to be one, is still to come.
func (e *written) unconfirmed() bool { return e.state == waiting || e.state == gone }

// at finds the entry at cursor, or nil. Entries are in the order of their cursors.
func (w *window) at(cursor Cursor) *written {
	lo, hi := w.head, len(w.entries)
	if lo < hi && w.entries[lo].cursor == cursor { // as usual
		return &w.entries[lo]
	}
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if w.entries[mid].cursor < cursor {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(w.entries) && w.entries[lo].cursor == cursor {
		return &w.entries[lo]
	}
	return nil
}

// remove takes e out: its 200 has been dealt with.
func (w *window) remove(e *written) {
	switch e.state {
	case removed:
		return
	case gone:
		w.gone--
	default:
		w.messages--
		w.bytes -= int(e.size)
	}
	*e = written{cursor: e.cursor, state: removed}
	w.removed++
	w.compact()
}

// leave marks e as confirmed by somebody else. It no longer counts, but its own 200 must find it, so that it is not
// taken for the 200 of a later message with the same id. At most as many such entries as most are kept; it reports whether
// one was let go for that.
func (w *window) leave(e *written, most int) (forgot bool) {
	if e.state == removed || e.state == gone {
		return false
	}
	if e.id == 0 {
		w.remove(e)
		return false
	}
	w.messages--
	w.bytes -= int(e.size)
	e.state, w.matched = gone, 0
	if w.gone++; w.gone <= most {
		return false
	}
	for i := w.head; i < len(w.entries); i++ {
		if w.entries[i].state == gone {
			w.remove(&w.entries[i])
			break
		}
	}
	return true
}

// compact drops what is removed: at the front always, in the middle when it is more than half. It invalidates
// pointers to entries.
func (w *window) compact() {
	for w.head < len(w.entries) && w.entries[w.head].state == removed {
		w.head++
		w.removed--
	}
	switch {
	case w.head == len(w.entries):
		w.entries, w.head, w.matched = w.entries[:0], 0, 0
	case w.removed*2 > len(w.entries)-w.head || w.head*2 > len(w.entries):
		kept := w.entries[:0]
		for _, e := range w.entries[w.head:] {
			if e.state != removed {
				kept = append(kept, e)
			}
		}
		clear(w.entries[len(kept):])
		w.entries, w.head, w.matched, w.removed = kept, 0, 0, 0
	}
}

// each calls do for every entry in state.
func (w *window) each(state writtenState, do func(*written)) {
	for i := w.head; i < len(w.entries); i++ {
		if w.entries[i].state == state {
			do(&w.entries[i])
		}
	}
}
