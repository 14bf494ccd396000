package disk

import (
	"strings"
	"sync"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
)

// recent is what receipts say of the messages that were written last: 1.6 MB, without a pointer. Most messages are
// confirmed soon, and then their receipt is made without reading the record again. It is safe for concurrent use.
type recent struct {
	mu    sync.Mutex
	said  [1 << 14]said
	texts strings.Builder // of what was found
}

// said has the texts of a message one behind the other. Those that don't fit are read again.
type said struct {
	ref      ref
	number   bool
	id, dest uint8 // bytes
	text     [81]byte
}

func (r *recent) at(at ref) *said { return &r.said[(at.offset>>4^at.segment)%uint32(len(r.said))] }

// note remembers what receipts about m, which is at ref, will say.
func (r *recent) note(at ref, m *inbox.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.at(at)
	if len(m.ID.Text)+len(m.Dest) > len(s.text) {
		s.ref = ref{}
		return
	}
	s.ref, s.number, s.id, s.dest = at, m.ID.Number, uint8(len(m.ID.Text)), uint8(len(m.Dest))
	copy(s.text[copy(s.text[:], m.ID.Text):], m.Dest)
}

// textsTogether is how many bytes of texts share one piece of memory: receipts are written soon and then forgotten.
const textsTogether = 512

// find returns what a receipt about the message at ref says, if that is known.
func (r *recent) find(at ref) (id bachata.ID, dest string, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.at(at)
	if s.ref != at {
		return id, "", false
	}
	text := s.text[:int(s.id)+int(s.dest)]
	if r.texts.Cap()-r.texts.Len() < len(text) {
		r.texts = strings.Builder{}
		r.texts.Grow(textsTogether)
	}
	from := r.texts.Len()
	r.texts.Write(text)
	both := r.texts.String()[from:]
	return bachata.ID{Text: both[:s.id], Number: s.number}, both[s.id:], true
}
