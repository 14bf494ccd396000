package inbox

import "strings"

// names gives strings that are stored many times (channels of origin, shown names) a number, for as long as
// somebody refers to them. Number 0 is the empty string.
type names struct {
	ids  map[string]uint32
	list []name
	free []uint32
}

type name struct {
	text string
	refs uint32
}

func newNames() names {
	return names{ids: map[string]uint32{}, list: make([]name, 1)}
}

// hold returns the number of s and counts one more reference to it. The text is copied when it is new.
func (n *names) hold(s string) uint32 {
	if s == "" {
		return 0
	}
	if id, ok := n.ids[s]; ok {
		n.list[id].refs++
		return id
	}
	s = strings.Clone(s)
	var id uint32
	if last := len(n.free) - 1; last >= 0 {
		id = n.free[last]
		n.free = n.free[:last]
	} else {
		id = uint32(len(n.list))
		n.list = append(n.list, name{})
	}
	n.list[id] = name{text: s, refs: 1}
	n.ids[s] = id
	return id
}

// drop takes one reference back.
func (n *names) drop(id uint32) {
	if id == 0 {
		return
	}
	e := &n.list[id]
	if e.refs--; e.refs == 0 {
		delete(n.ids, e.text)
		e.text = ""
		n.free = append(n.free, id)
	}
}

func (n *names) text(id uint32) string { return n.list[id].text }

// Copy returns copies of two texts, in one allocation. (Adding an empty text to another copies nothing.)
func Copy(a, b string) (string, string) {
	var both strings.Builder
	both.Grow(len(a) + len(b))
	both.WriteString(a)
	both.WriteString(b)
	text := both.String()
	return text[:len(a)], text[len(a):]
}
