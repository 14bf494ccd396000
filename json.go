package bachata

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
	"unsafe"
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
func (p jsonProtocol) Decode(text []byte, f *Frame) error { return p.decode(text, f, reading{}) }

// reading is how a session has its frames decoded.
type reading struct {
	borrow bool   // the ids of a 200 may be parts of the frame
	valid  bool   // the frame is known to be UTF-8
	from   string // to be the "from" of a message; empty: what the client wrote
}

// decode implements Decode.
func (jsonProtocol) decode(text []byte, f *Frame, o reading) error {
	if f.Message.typ != "" {
		f.Message = Message{}
	}
	if f.Transport.Code != 0 {
		f.Transport = Transport{IDs: f.Transport.IDs[:0]}
	}
	if id := plainConfirm(text); id != nil {
		f.Transport.Code = CodeReceived
		if o.borrow {
			f.Transport.IDs = append(f.Transport.IDs, ID{Text: unsafe.String(&id[0], len(id))})
			return nil
		}
		f.Transport.IDs = append(f.Transport.IDs, ID{Text: string(id)})
		return nil
	}
	if !o.valid && !utf8.Valid(text) {
		return refuse(RefusedSyntax, "the frame is not valid UTF-8")
	}
	var p members
	if err := p.scan(text); err != nil {
		return err
	}
	if o.from != "" && p[fieldType].kind == '"' {
		stamped, added := p.stamp(text, o.from)
		return p.message(stamped, added, &f.Message)
	}
	return p.frame(string(text), f)
}

// stamp returns a copy of text, a message, with from as its shown name, in place of the one that it has or before the
// closing brace, and sets the places right. added is where it was added, 0 if it is in place.
func (p *members) stamp(text []byte, from string) (stamped string, added int) {
	const name = `,"from":`
	old := p[fieldFrom]
	if old.kind == '"' {
		if shown, _ := unquote(unsafe.String(&text[0], len(text)), old); shown == from {
			return string(text), 0
		}
	}
	b := make([]byte, 0, len(text)+len(name)+len(from)+2)
	if old.end == 0 {
		added = bytes.LastIndexByte(text, '}')
		old = span{start: added, end: added}
		b = append(append(b, text[:added]...), name...)
	} else {
		b = append(b, text[:old.start]...)
	}
	start := len(b)
	b = appendQuote(b, from)
	p[fieldFrom] = span{start: start, end: len(b), kind: '"', escaped: len(b)-start != len(from)+2}
	b = append(b, text[old.end:]...)
	if grown := len(b) - len(text); added == 0 && grown != 0 {
		for f := range p {
			if p[f].start > old.start {
				p[f].start += grown
				p[f].end += grown
			}
		}
	}
	return unsafe.String(&b[0], len(b)), added
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
		return p.message(text, 0, &f.Message)
	case '0':
		return p.transport(text, &f.Transport)
	}
	id, _ := readID(text, p[fieldID])
	if typ.end == 0 {
		return &Refusal{Code: RefusedType, Reason: `the frame has no "type"`, ID: id}
	}
	return &Refusal{Code: RefusedType, Reason: `"type" is neither a string nor an integer`, ID: id}
}

// message makes a message of text; added is where stamp has added "from".
func (p *members) message(text string, added int, m *Message) error {
	id, err := readID(text, p[fieldID])
	if err != nil {
		return err
	}
	typ, err := p.name(text, fieldType)
	if err != nil {
		return withID(err, id)
	}
	dest, err := p.name(text, fieldDest)
	if err != nil {
		return withID(err, id)
	}
	if typ == "" {
		return &Refusal{Code: RefusedType, Reason: `"type" is empty`, ID: id}
	}
	sent := p[fieldTime]
	if sent.end != 0 && sent.kind != 'n' && sent.kind != '0' {
		return &Refusal{Code: RefusedField, Reason: `"time" is not a number`, ID: id}
	}
	m.id, m.typ, m.dest, m.text, m.added = id, typ, dest, text, added
	if sent.kind == '0' {
		m.sent = text[sent.start:sent.end]
	}
	// The rest is taken as it comes: "from" is overwritten, "sign" and "data" are the application's.
	if s := p[fieldFrom]; s.end != 0 {
		m.fromStart, m.fromEnd = s.start, s.end
		switch s.kind {
		case '"':
			m.from, m.fromString = unquote(text, s)
		case 'n':
		default:
			m.from = text[s.start:s.end]
		}
	}
	if s := p[fieldSign]; s.kind == '"' {
		m.sign, _ = unquote(text, s)
	}
	if s := p[fieldData]; s.end != 0 {
		m.data = text[s.start:s.end]
	}
	m.ephemeral = p[fieldEphemeral].kind == 't'
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
