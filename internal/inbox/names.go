package inbox

import "strings"

// names gives strings that are stored many times (channels of origin, shown names) a number, for as long as
// somebody refers to them. Number 0 is the empty string.
type names struct {
	ids  map[string]uint32
	list []name
	free []uint32
	// near are the numbers of those that were held last, by nearness: the same few come again and again, and are found
	// here in a fifth of the time.
	near [nearby]uint32
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
	near := &n.near[nearness(s)]
	if e := &n.list[*near]; e.text == s {
		e.refs++
		return *near
	}
	if id, ok := n.ids[s]; ok {
		n.list[id].refs++
		*near = id
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
	*near = id
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

// nearby is how many names are found without a map, and nearness where a name is then looked for. Names that people
// number differ in their last letters, and of others these are as good as any.
const nearby = 256

func nearness(s string) uint8 {
	n := len(s)
	if n < 2 {
		return uint8(n)
	}
	return s[0]*101 + s[n-2]*10 + s[n-1]
}
