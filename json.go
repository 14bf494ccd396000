package bachata

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxConfirmed is how many ids one 200 may name.
const MaxConfirmed = 1000

// MaxDepth is how deep objects and arrays may be nested in a frame, the envelope included.
const MaxDepth = 128

// maxMembers bounds the unknown names of an envelope, so that looking for repeated ones stays cheap.
const maxMembers = 64

// JSON returns the protocol of PROTOCOL.md: one JSON object a frame. It checks the whole frame, reads the fields
// of the envelope, and keeps the rest as it came.
func JSON() Protocol { return jsonProtocol{} }

type jsonProtocol struct{}

// Decode implements Protocol.
func (p jsonProtocol) Decode(text []byte, f *Frame) error { return p.decode(text, f, false) }

// decode implements Decode. With borrow set, the ids of a 200 may be parts of text.
func (jsonProtocol) decode(text []byte, f *Frame, borrow bool) error {
	f.Message = Message{}
	if f.Transport.Code != 0 {
		f.Transport = Transport{IDs: f.Transport.IDs[:0]}
	}
	if id := plainConfirm(text); id != nil {
		f.Transport.Code = CodeReceived
		if borrow {
			f.Transport.IDs = append(f.Transport.IDs, ID{Text: unsafe.String(&id[0], len(id))})
			return nil
		}
		f.Transport.IDs = append(f.Transport.IDs, ID{Text: string(id)})
		return nil
	}
	if !utf8.Valid(text) {
		return refuse(RefusedSyntax, "the frame is not valid UTF-8")
	}
	var m members
	if err := m.scan(text); err != nil {
		return err
	}
	return m.frame(string(text), f)
}

// plainConfirm returns the id of a 200 that is written as every client of ours writes it, {"type":200,"data":"ID"}, with
// an id of plain characters; nil for anything else. It is the frame that comes most often, and spares it the JSON reader.
func plainConfirm(text []byte) []byte {
	const before, after = `{"type":200,"data":"`, `"}`
	n := len(text) - len(after)
	if n <= len(before) || n-len(before) > MaxName || string(text[:len(before)]) != before || string(text[n:]) != after {
		return nil
	}
	id := text[len(before):n]
	if plainLen(id) < len(id) {
		return nil
	}
	return id
}

// frame makes a Frame of the members that scan found; text is a copy of the frame, and all strings are parts of it.
func (p *members) frame(text string, f *Frame) error {
	typ := p[fieldType]
	switch typ.kind {
	case '"':
		return p.message(text, &f.Message)
	case '0':
		return p.transport(text, &f.Transport)
	}
	id, _ := readID(text, p[fieldID])
	if typ.end == 0 {
		return &Refusal{Code: RefusedType, Reason: `the frame has no "type"`, ID: id}
	}
	return &Refusal{Code: RefusedType, Reason: `"type" is neither a string nor an integer`, ID: id}
}

func (p *members) message(text string, m *Message) error {
	var err error
	if m.id, err = readID(text, p[fieldID]); err != nil {
		return err
	}
	if m.typ, err = p.name(text, fieldType); err != nil {
		return withID(err, m.id)
	}
	if m.dest, err = p.name(text, fieldDest); err != nil {
		return withID(err, m.id)
	}
	if m.typ == "" {
		return &Refusal{Code: RefusedType, Reason: `"type" is empty`, ID: m.id}
	}
	if s := p[fieldTime]; s.end != 0 && s.kind != 'n' {
		if s.kind != '0' {
			return &Refusal{Code: RefusedField, Reason: `"time" is not a number`, ID: m.id}
		}
		m.time = parseInt(text[s.start:s.end])
	}
	// The rest is taken as it comes: "from" is overwritten, "sign" and "data" are the application's.
	if s := p[fieldFrom]; s.end != 0 {
		m.fromStart, m.fromEnd = s.start, s.end
		switch s.kind {
		case '"':
			m.from, m.fromString = unquote(text[s.start:s.end])
		case 'n':
		default:
			m.from = text[s.start:s.end]
		}
	}
	if s := p[fieldSign]; s.kind == '"' {
		m.sign, _ = unquote(text[s.start:s.end])
	}
	if s := p[fieldData]; s.end != 0 {
		m.data = text[s.start:s.end]
	}
	m.ephemeral = p[fieldEphemeral].kind == 't'
	m.text = text
	return nil
}

func (p *members) transport(text string, t *Transport) error {
	typ := p[fieldType]
	code := Code(parseInt(text[typ.start:typ.end]))
	if code <= 0 || strings.Trim(text[typ.start:typ.end], "0123456789") != "" {
		return &Refusal{Code: RefusedType, Reason: fmt.Sprintf(`"type" %s is not a known code`, clip(text[typ.start:typ.end]))}
	}
	t.Code = code
	data := p[fieldData]
	switch {
	case code == CodeReceived && data.kind == '[':
		if err := readIDs(text[data.start:data.end], t); err != nil {
			return err
		}
	case data.kind == '"' || data.kind == '0':
		id, err := readID(text, data)
		if err != nil {
			return err
		}
		t.IDs = append(t.IDs, id)
	}
	if code == CodeReceived && len(t.IDs) == 0 {
		return refuse(RefusedField, `"data" of a 200 is an id or an array of ids`)
	}
	var err error
	if t.From, err = p.name(text, fieldFrom); err != nil {
		return err
	}
	if t.Dest, err = p.name(text, fieldDest); err != nil {
		return err
	}
	return nil
}

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
		id, err := readID(s, span{end: len(s), kind: v.Kind()})
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
		unquoted, ok := unquote(raw)
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
	name, ok := unquote(text[s.start:s.end])
	if !ok {
		return "", refuse(RefusedField, fmt.Sprintf("%q holds half of a surrogate pair", fieldNames[f]))
	}
	if len(name) > MaxName {
		return "", refuse(RefusedField, fmt.Sprintf("%q has %d bytes, the limit is %d", fieldNames[f], len(name), MaxName))
	}
	return name, nil
}

// unquote returns the text of a JSON string, a part of quoted where it can, and whether it is whole Unicode.
func unquote(quoted string) (string, bool) {
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], true
	}
	b, err := jsontext.AppendUnquote(nil, quoted)
	return string(b), err == nil
}

func parseInt(s string) int64 {
	var n int64
	digits := strings.TrimPrefix(s, "-")
	if len(digits) > 18 {
		return 0
	}
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int64(c-'0')
	}
	if len(digits) < len(s) {
		return -n
	}
	return n
}

func refuse(code, reason string) error { return &Refusal{Code: code, Reason: reason} }

func withID(err error, id ID) error {
	var r *Refusal
	if errors.As(err, &r) {
		r.ID = id
	}
	return err
}

// clip shortens what is quoted in a reason.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
