package bachata

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonReader is what one Decode needs; it is pooled.
type jsonReader struct {
	dec    *jsontext.Decoder
	buf    bytes.Buffer
	others [][2]int // spans of the names of unknown members
}

// members are the places of the known members of an envelope.
type members [numFields]span

// span is a value's place in the frame; end is zero if there is none.
type span struct {
	start, end int
	kind       jsontext.Kind
	escaped    bool // a string with escapes
}

type field uint8

const (
	fieldID field = iota
	fieldType
	fieldTime
	fieldData
	fieldFrom
	fieldDest
	fieldSign
	fieldEphemeral
	numFields
)

var fieldNames = [numFields]string{"id", "type", "time", "data", "from", "dest", "sign", "ephemeral"}

// readOptions leave the inside of the values to the application: a name may stand there twice, and an escape may be
// half of a surrogate pair. The bytes themselves are checked to be UTF-8, the names of the envelope to be different.
var readOptions = jsontext.AllowInvalidUTF8(true)

var jsonReaders = sync.Pool{New: func() any {
	r := &jsonReader{}
	r.dec = jsontext.NewDecoder(&r.buf, readOptions, jsontext.AllowDuplicateNames(true))
	return r
}}

// scan checks that text, which is valid UTF-8, is one JSON object, and notes where its known members are.
func (p *members) scan(text []byte) error {
	if p.plain(text) {
		return nil
	}
	*p = members{}
	if tooDeep(text) {
		return refuse(RefusedSyntax, fmt.Sprintf("the frame is nested deeper than %d levels", MaxDepth))
	}
	r := jsonReaders.Get().(*jsonReader)
	defer r.release()
	return r.scan(text, p)
}

// scan does what members.scan does, of anything, and says what is wrong.
func (r *jsonReader) scan(text []byte, p *members) error {
	r.buf = *bytes.NewBuffer(text)
	r.dec.Reset(&r.buf, readOptions, jsontext.AllowDuplicateNames(true))
	if r.dec.PeekKind() != '{' {
		if _, err := r.dec.ReadValue(); err != nil {
			return syntaxRefusal(err)
		}
		return refuse(RefusedSyntax, "a frame is a JSON object")
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return syntaxRefusal(err)
	}
	for follows(text, int(r.dec.InputOffset())) == '"' {
		name, err := r.dec.ReadValue()
		if err != nil {
			return syntaxRefusal(err)
		}
		known, ok := knownField(name)
		var at [2]int // of an unknown name
		if !ok {
			end := int(r.dec.InputOffset())
			at = [2]int{end - len(name), end}
		}
		if !ok && r.repeated(text, at) || ok && p[known].end != 0 {
			return refuse(RefusedSyntax, fmt.Sprintf("the name %s stands twice", clip(string(name))))
		}
		value, err := r.dec.ReadValue()
		if err != nil {
			return syntaxRefusal(err)
		}
		if ok {
			end := int(r.dec.InputOffset())
			p[known] = span{start: end - len(value), end: end, kind: value.Kind()}
			p[known].escaped = value.Kind() == '"' && bytes.IndexByte(value, '\\') >= 0
		} else {
			if len(r.others) == maxMembers {
				return refuse(RefusedSyntax, fmt.Sprintf("the envelope has more than %d unknown names", maxMembers))
			}
			r.others = append(r.others, at)
		}
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return syntaxRefusal(err)
	}
	if len(bytes.TrimLeft(text[r.dec.InputOffset():], " \t\r\n")) > 0 {
		return refuse(RefusedSyntax, "there is more than one JSON value in the frame")
	}
	return nil
}

// follows returns the first byte of the next token at or behind offset, 0 if there is none. Whether the comma is where it
// must be is the decoder's to check.
func follows(text []byte, offset int) byte {
	for ; offset < len(text); offset++ {
		switch text[offset] {
		case ' ', '\t', '\r', '\n', ',':
		default:
			return text[offset]
		}
	}
	return 0
}

// repeated reports whether the unknown name at stands already among the others.
func (r *jsonReader) repeated(text []byte, at [2]int) bool {
	name := unquoteName(text[at[0]:at[1]])
	for _, o := range r.others {
		if bytes.Equal(unquoteName(text[o[0]:o[1]]), name) {
			return true
		}
	}
	return false
}

func unquoteName(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	name, _ := jsontext.AppendUnquote(nil, quoted)
	return name
}

// knownField returns the field that a quoted name names.
func knownField(quoted []byte) (field, bool) { return fieldNamed(unquoteName(quoted)) }

// fieldNamed returns the field of a name.
func fieldNamed(name []byte) (field, bool) {
	switch string(name) {
	case "id":
		return fieldID, true
	case "type":
		return fieldType, true
	case "time":
		return fieldTime, true
	case "data":
		return fieldData, true
	case "from":
		return fieldFrom, true
	case "dest":
		return fieldDest, true
	case "sign":
		return fieldSign, true
	case "ephemeral":
		return fieldEphemeral, true
	}
	return 0, false
}

// tooDeep reports whether text, should it be JSON, is nested deeper than MaxDepth. Few frames have that many brackets.
func tooDeep(text []byte) bool {
	if len(text) <= 2*MaxDepth || bytes.Count(text, []byte{'{'})+bytes.Count(text, []byte{'['}) <= MaxDepth {
		return false
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case '}', ']':
			depth--
		case '"':
			i = stringEnd(text, i)
		}
	}
	return false
}

// stringEnd returns the index of the quote that ends the string that begins at i, or the length of text.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text); i++ {
		n := bytes.IndexByte(text[i:], '"')
		if n < 0 {
			return len(text)
		}
		i += n
		slashes := 0
		for text[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
	return len(text)
}

func syntaxRefusal(err error) error {
	var s *jsontext.SyntacticError
	if errors.As(err, &s) {
		return refuse(RefusedSyntax, fmt.Sprintf("the frame is not valid JSON at byte %d", s.ByteOffset))
	}
	return refuse(RefusedSyntax, "the frame ends within a JSON value")
}

func (r *jsonReader) release() {
	r.others = r.others[:0]
	jsonReaders.Put(r)
}
