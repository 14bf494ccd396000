package bachata

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// readIDs reads an array of ids.
func readIDs(array string, t *Transport) error {
	dec := jsontext.NewDecoder(strings.NewReader(array), readOptions)
	if _, err := dec.ReadToken(); err != nil {
		return syntaxRefusal(err)
	}
	for dec.PeekKind() != ']' {
		v, err := dec.ReadValue()
		if err != nil {
			return syntaxRefusal(err)
		}
		s := string(v)
		id, err := readID(s, span{end: len(s), kind: v.Kind(), escaped: strings.IndexByte(s, '\\') >= 0})
		if err != nil {
			return err
		}
		if id.IsZero() {
			return refuse(RefusedField, `"data" of a 200 is an id or an array of ids`)
		}
		if len(t.IDs) == MaxConfirmed {
			return refuse(RefusedField, fmt.Sprintf("a 200 names more than %d ids", MaxConfirmed))
		}
		t.IDs = append(t.IDs, id)
	}
	return nil
}

func readID(text string, s span) (ID, error) {
	if s.end == 0 || s.kind == 'n' {
		return ID{}, nil
	}
	raw := text[s.start:s.end]
	var id ID
	switch s.kind {
	case '0':
		id = ID{Text: raw, Number: true}
	case '"':
		unquoted, ok := unquote(text, s)
		if !ok {
			return ID{}, refuse(RefusedField, "the id holds half of a surrogate pair")
		}
		if unquoted == "" {
			return ID{}, refuse(RefusedField, "the id is empty")
		}
		id = ID{Text: unquoted}
	default:
		return ID{}, refuse(RefusedField, "an id is a string or a number")
	}
	if len(id.Text) > MaxName {
		return ID{}, refuse(RefusedField, fmt.Sprintf("the id has %d bytes, the limit is %d", len(id.Text), MaxName))
	}
	return id, nil
}

// name reads a string member of at most MaxName bytes; one that is null or not there is empty.
func (p *members) name(text string, f field) (string, error) {
	s := p[f]
	if s.end == 0 || s.kind == 'n' {
		return "", nil
	}
	if s.kind != '"' {
		return "", refuse(RefusedField, fmt.Sprintf("%q is not a string", fieldNames[f]))
	}
	name, ok := unquote(text, s)
	if !ok {
		return "", refuse(RefusedField, fmt.Sprintf("%q holds half of a surrogate pair", fieldNames[f]))
	}
	if len(name) > MaxName {
		return "", refuse(RefusedField, fmt.Sprintf("%q has %d bytes, the limit is %d", fieldNames[f], len(name), MaxName))
	}
	return name, nil
}

// unquote returns the text of the JSON string at s, a part of text where it can, and whether it is whole Unicode.
func unquote(text string, s span) (string, bool) {
	quoted := text[s.start:s.end]
	if !s.escaped {
		return quoted[1 : len(quoted)-1], true
	}
	b, err := jsontext.AppendUnquote(nil, quoted)
	return string(b), err == nil
}

// parseInt returns the integer that s spells: zero if it is none, or one of more than 18 digits.
func parseInt(s string) int64 {
	digits := strings.TrimPrefix(s, "-")
	if len(digits) > 18 {
		return 0
	}
	var n int64
	for i := range len(digits) {
		c := digits[i] - '0'
		if c > 9 {
			return 0
		}
		n = n*10 + int64(c)
	}
	if len(digits) < len(s) {
		return -n
	}
	return n
}
