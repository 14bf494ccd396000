package bachata

import (
	"encoding/binary"
	"math/bits"

	"github.com/go-json-experiment/json/jsontext"
)

// maxPlainOthers is how many unknown names of an envelope are read without the JSON reader.
const maxPlainOthers = 8

// plain notes where the known members of text are, in one pass and without the JSON reader. text is valid UTF-8. Whatever
// is wrong or unusual (a name with an escape, a name twice, many unknown ones) it leaves to the reader: it reports false,
// and what it noted means nothing. What it takes, the reader takes too, and notes the same.
func (p *members) plain(text []byte) bool {
	var others otherNames
	var unknown span
	i := space(text, 0)
	if at(text, i) != '{' {
		return false
	}
	if i = space(text, i+1); at(text, i) == '}' {
		return space(text, i+1) == len(text)
	}
	for {
		place := &unknown
		f, n := usualName(text, i)
		if n == 0 {
			var known bool
			if f, known, n = others.read(text, i); n == 0 {
				return false
			}
			if unknown = (span{}); known {
				place = &p[f]
			}
		} else {
			place = &p[f]
		}
		if place.end != 0 {
			return false
		}
		i = space(text, i+n)
		place.start, place.kind = i, kindOf(at(text, i))
		if place.kind == '"' {
			i, place.escaped = plainString(text, i)
		} else {
			i = plainValue(text, i, 1)
		}
		if i < 0 {
			return false
		}
		place.end = i
		switch i = space(text, i); at(text, i) {
		case ',':
			i = space(text, i+1)
		case '}':
			return space(text, i+1) == len(text)
		default:
			return false
		}
	}
}

// Names of the envelope with their quotes and the colon, as eight bytes that begin with them are read.
const (
	quotedID   = '"' | 'i'<<8 | 'd'<<16 | '"'<<24 | ':'<<32
	quotedType = '"' | 't'<<8 | 'y'<<16 | 'p'<<24 | 'e'<<32 | '"'<<40 | ':'<<48
	quotedTime = '"' | 't'<<8 | 'i'<<16 | 'm'<<24 | 'e'<<32 | '"'<<40 | ':'<<48
	quotedData = '"' | 'd'<<8 | 'a'<<16 | 't'<<24 | 'a'<<32 | '"'<<40 | ':'<<48
	quotedFrom = '"' | 'f'<<8 | 'r'<<16 | 'o'<<24 | 'm'<<32 | '"'<<40 | ':'<<48
	quotedDest = '"' | 'd'<<8 | 'e'<<16 | 's'<<24 | 't'<<32 | '"'<<40 | ':'<<48
	quotedSign = '"' | 's'<<8 | 'i'<<16 | 'g'<<24 | 'n'<<32 | '"'<<40 | ':'<<48
)

// usualName returns the field whose name, directly followed by a colon, begins at i, and the length of both; zero if it
// has to be looked at more closely.
func usualName(text []byte, i int) (f field, n int) {
	if i+8 > len(text) {
		return 0, 0
	}
	x := binary.LittleEndian.Uint64(text[i:])
	if x&(1<<40-1) == quotedID {
		return fieldID, 5
	}
	switch x & (1<<56 - 1) {
	case quotedType:
		return fieldType, 7
	case quotedTime:
		return fieldTime, 7
	case quotedData:
		return fieldData, 7
	case quotedFrom:
		return fieldFrom, 7
	case quotedDest:
		return fieldDest, 7
	case quotedSign:
		return fieldSign, 7
	}
	return 0, 0
}

// otherNames are the places of the unknown names of an envelope.
type otherNames struct {
	spans [maxPlainOthers]span
	n     int
}

// read reads the name that begins at i and the colon behind it, which have n bytes together: zero if they are not to be
// taken. known says that it is that of f.
func (o *otherNames) read(text []byte, i int) (f field, known bool, n int) {
	if at(text, i) != '"' {
		return 0, false, 0
	}
	start := i + 1
	end := start + plainLen(text[start:])
	if at(text, end) != '"' {
		return 0, false, 0
	}
	name := text[start:end]
	if f, known = fieldNamed(name); !known {
		for _, s := range o.spans[:o.n] {
			if string(text[s.start:s.end]) == string(name) {
				return 0, false, 0
			}
		}
		if o.n == maxPlainOthers {
			return 0, false, 0
		}
		o.spans[o.n] = span{start: start, end: end}
		o.n++
	}
	colon := space(text, end+1)
	if at(text, colon) != ':' {
		return 0, false, 0
	}
	return f, known, colon + 1 - i
}

// kindOf returns the kind of a value by its first byte.
func kindOf(first byte) jsontext.Kind {
	if first == '-' || first >= '0' && first <= '9' {
		return '0'
	}
	return jsontext.Kind(first)
}

// plainValue returns the index behind the value that begins at i, within depth objects and arrays, or -1 if none does.
func plainValue(text []byte, i, depth int) int {
	switch c := at(text, i); c {
	case '"':
		i, _ = plainString(text, i)
		return i
	case '{', '[':
		if depth == MaxDepth {
			return -1
		}
		return plainNested(text, i, depth+1)
	case 't':
		return literal(text, i, "true")
	case 'f':
		return literal(text, i, "false")
	case 'n':
		return literal(text, i, "null")
	default:
		return plainNumber(text, i)
	}
}

// plainNested is plainValue for an object or an array, of which it knows that it begins at i.
func plainNested(text []byte, i, depth int) int {
	last := text[i] + 2 // '{' and '}', '[' and ']' are as far apart
	if i = space(text, i+1); at(text, i) == last {
		return i + 1
	}
	for {
		if last == '}' {
			if at(text, i) != '"' {
				return -1
			}
			if i, _ = plainString(text, i); i < 0 {
				return -1
			}
			if i = space(text, i); at(text, i) != ':' {
				return -1
			}
			i = space(text, i+1)
		}
		if i = plainValue(text, i, depth); i < 0 {
			return -1
		}
		switch i = space(text, i); at(text, i) {
		case ',':
			i = space(text, i+1)
		case last:
			return i + 1
		default:
			return -1
		}
	}
}

// plainString returns the index behind the string whose first quote is at i, or -1 if it does not end or holds what no
// string may, and whether there are escapes in it. Half of a surrogate pair is one of those that it may.
func plainString(text []byte, i int) (end int, escaped bool) {
	for i++; ; {
		if i+8 <= len(text) {
			marks := special(binary.LittleEndian.Uint64(text[i:]))
			if marks == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(marks) / 8
		}
		switch c := at(text, i); {
		case c == '"':
			return i + 1, escaped
		case c == '\\':
			if i = plainEscape(text, i); i < 0 {
				return -1, true
			}
			escaped = true
		case c < ' ':
			return -1, escaped
		default:
			i++ // near the end of the text
		}
	}
}

// plainEscape returns the index behind the escape that begins at i, or -1.
func plainEscape(text []byte, i int) int {
	switch at(text, i+1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		for k := i + 2; k < i+6; k++ {
			switch c := at(text, k) | 0x20; {
			case c >= '0' && c <= '9' && text[k] == c, c >= 'a' && c <= 'f':
			default:
				return -1
			}
		}
		return i + 6
	}
	return -1
}

// plainNumber returns the index behind the number that begins at i, or -1 if none does.
func plainNumber(text []byte, i int) int {
	if at(text, i) == '-' {
		i++
	}
	first := i
	if i = digits(text, i); i == first || text[first] == '0' && i > first+1 {
		return -1
	}
	if at(text, i) == '.' {
		first = i + 1
		if i = digits(text, first); i == first {
			return -1
		}
	}
	if at(text, i)|0x20 == 'e' {
		i++
		if c := at(text, i); c == '+' || c == '-' {
			i++
		}
		first = i
		if i = digits(text, first); i == first {
			return -1
		}
	}
	return i
}

// digits returns the index behind the digits that begin at i.
func digits(text []byte, i int) int {
	for i < len(text) && text[i]-'0' < 10 {
		i++
	}
	return i
}

func literal(text []byte, i int, word string) int {
	if end := i + len(word); end <= len(text) && string(text[i:end]) == word {
		return end
	}
	return -1
}

// space returns the index of the first byte at or behind i that is no white space.
func space(text []byte, i int) int {
	for i < len(text) && text[i] <= ' ' && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\n') {
		i++
	}
	return i
}

// at returns the byte at i, 0 behind the end: a byte that stands nowhere in JSON.
func at(text []byte, i int) byte {
	if uint(i) < uint(len(text)) {
		return text[i]
	}
	return 0
}

const (
	eachByte = 0x0101010101010101
	highBits = 0x80 * eachByte
)

// special marks, by its highest bit, the first of the eight bytes of x (the lowest byte comes first) that must not stand
// for itself in a JSON string: a quote, a backslash or a control character. Bytes behind it may be marked wrongly.
func special(x uint64) uint64 {
	quote, slash := x^('"'*eachByte), x^('\\'*eachByte)
	return ((x-' '*eachByte)&^x | (quote-eachByte)&^quote | (slash-eachByte)&^slash) & highBits
}

// plainLen returns how many bytes at the start of b are ASCII and stand for themselves in a JSON string.
func plainLen(b []byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		if marks := special(x) | x&highBits; marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] < 0x80 && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}
