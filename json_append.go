package bachata

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// MakeMessage makes a message that did not come from a socket. The error says what is wrong with the draft.
func MakeMessage(d Draft) (*Message, error) {
	if d.Type == "" {
		return nil, fmt.Errorf("bachata: make message: the type is empty")
	}
	for _, f := range []struct{ name, value string }{{"type", d.Type}, {"id", d.ID.Text}, {"from", d.From}, {"dest", d.Dest}} {
		if f.value == "" {
			continue
		}
		if err := CheckName(f.name, f.value); err != nil {
			return nil, fmt.Errorf("make message: %w", err)
		}
	}
	if d.ID.Number && jsontext.Value(d.ID.Text).Kind() != '0' {
		return nil, fmt.Errorf("bachata: make message: id %q is not a number", d.ID.Text)
	}
	m := &Message{id: d.ID, typ: d.Type, from: d.From, dest: d.Dest, sign: d.Sign, time: d.Time}
	if d.Data != nil {
		data, err := json.Marshal(d.Data)
		if err != nil {
			return nil, fmt.Errorf("make message: encode data: %w", err)
		}
		m.data = string(data)
	}
	return m, nil
}

// Set changes the field name of the message to value, encoded as JSON, or adds it; a nil value becomes null. Routes use
// it. "id" and "from" can't be changed, and "type", "dest" and "sign" stay strings.
func (m *Message) Set(name string, value any) error {
	text, isText := value.(string)
	switch name {
	case "id", "from":
		return fmt.Errorf("bachata: set %q: the field can't be changed", name)
	case "type", "dest", "sign":
		if !isText {
			return fmt.Errorf("bachata: set %q: %T is not a string", name, value)
		}
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("set %q: %w", name, err)
	}
	switch name {
	case "type":
		m.typ = text
	case "dest":
		m.dest = text
	case "sign":
		m.sign = text
	case "data":
		m.data = string(raw)
	case "time":
		m.time, m.sent = parseInt(string(raw)), ""
	}
	for i := range m.edits {
		if m.edits[i].name == name {
			m.edits[i].value = string(raw)
			return nil
		}
	}
	m.edits = append(m.edits, edit{name: name, value: string(raw)})
	return nil
}

// edit is one field that Set changed.
type edit struct{ name, value string }

// setFrom writes the shown name of the sender into the message.
func (m *Message) setFrom(from string) {
	m.fromChanged = m.fromChanged || from != m.from || !m.fromString
	m.from = from
}

// asItCame reports whether the message goes out as its text is.
func (m *Message) asItCame() bool { return m.text != "" && len(m.edits) == 0 && !m.fromChanged }

// AppendMessage implements Protocol.
func (jsonProtocol) AppendMessage(dst []byte, m *Message) []byte {
	if m.text == "" {
		return appendMade(dst, m)
	}
	if len(m.edits) > 0 {
		return appendEdited(dst, m)
	}
	switch {
	case !m.fromChanged:
		return append(dst, m.text...)
	case m.fromEnd != 0:
		dst = append(dst, m.text[:m.fromStart]...)
		dst = appendQuote(dst, m.from)
		return append(dst, m.text[m.fromEnd:]...)
	}
	end := strings.LastIndexByte(m.text, '}')
	dst = append(dst, m.text[:end]...)
	dst = append(dst, `,"from":`...)
	dst = appendQuote(dst, m.from)
	return append(dst, m.text[end:]...)
}

// appendEdited writes the members of the frame one by one, those that changed with their new values.
func appendEdited(dst []byte, m *Message) []byte {
	edits := append([]edit(nil), m.edits...)
	text := m.text
	if m.added > 0 {
		text = text[:m.added] + "}" // "from" stays the last
	}
	if m.fromChanged || m.added > 0 {
		edits = append(edits, edit{name: "from", value: string(appendQuote(nil, m.from))})
	}
	dec := jsontext.NewDecoder(strings.NewReader(text), readOptions, jsontext.AllowDuplicateNames(true))
	dst = append(dst, '{')
	if _, err := dec.ReadToken(); err != nil {
		return append(dst, '}') // Decode has read it once; it can be read again
	}
	for dec.PeekKind() == '"' {
		name, _ := dec.ReadValue()
		key := string(unquoteName(name))
		dst = append(append(dst, name...), ':')
		value, _ := dec.ReadValue()
		changed := false
		for i := range edits {
			if edits[i].name == key {
				dst = append(dst, edits[i].value...)
				edits = append(edits[:i], edits[i+1:]...)
				changed = true
				break
			}
		}
		if !changed {
			dst = append(dst, value...)
		}
		dst = append(dst, ',')
	}
	for _, e := range edits {
		dst = append(append(appendQuote(dst, e.name), ':'), e.value...)
		dst = append(dst, ',')
	}
	dst[len(dst)-1] = '}'
	return dst
}

// appendMade writes a message that MakeMessage made.
func appendMade(dst []byte, m *Message) []byte {
	dst = append(dst, '{')
	if !m.id.IsZero() {
		dst = append(appendID(append(dst, `"id":`...), m.id), ',')
	}
	dst = appendQuote(append(dst, `"type":`...), m.typ)
	if m.time != 0 {
		dst = strconv.AppendInt(append(dst, `,"time":`...), m.time, 10)
	}
	if m.dest != "" {
		dst = appendQuote(append(dst, `,"dest":`...), m.dest)
	}
	if m.data != "" {
		dst = append(append(dst, `,"data":`...), m.data...)
	}
	if m.sign != "" {
		dst = appendQuote(append(dst, `,"sign":`...), m.sign)
	}
	if m.from != "" {
		dst = appendQuote(append(dst, `,"from":`...), m.from)
	}
	for _, e := range m.edits {
		switch e.name {
		case "type", "time", "dest", "data", "sign":
		default:
			dst = append(append(appendQuote(append(dst, ','), e.name), ':'), e.value...)
		}
	}
	return append(dst, '}')
}

// AppendTransport implements Protocol.
func (jsonProtocol) AppendTransport(dst []byte, t *Transport) []byte {
	dst = appendCode(dst, t.Code)
	switch t.Code {
	case CodeRefused:
		dst = appendRefusal(dst, t)
	case CodeReady:
		if t.DedupeMillis > 0 {
			dst = strconv.AppendInt(append(dst, `,"dedupe":`...), t.DedupeMillis, 10)
		}
		if t.MaxMessage > 0 {
			dst = strconv.AppendInt(append(dst, `,"max":`...), t.MaxMessage, 10)
		}
	case CodeGoingAway:
		dst = strconv.AppendInt(append(dst, `,"data":`...), t.ReconnectMillis, 10)
	case CodeGap:
		dst = strconv.AppendInt(append(dst, `,"dropped":`...), int64(t.Gap.Dropped), 10)
		dst = strconv.AppendInt(append(dst, `,"expired":`...), int64(t.Gap.Expired), 10)
		if t.Gap.Receipts > 0 {
			dst = strconv.AppendInt(append(dst, `,"receipts":`...), int64(t.Gap.Receipts), 10)
		}
	default:
		dst = appendIDs(dst, t.IDs)
	}
	return appendTail(dst, t)
}

func appendCode(dst []byte, code Code) []byte {
	dst = append(dst, `{"type":`...)
	if code < 100 || code > 999 {
		return strconv.AppendInt(dst, int64(code), 10)
	}
	return append(dst, '0'+byte(code/100), '0'+byte(code/10%10), '0'+byte(code%10))
}

// appendTail appends what follows on the ids.
func appendTail(dst []byte, t *Transport) []byte {
	if t.Dup {
		dst = append(dst, `,"dup":true`...)
	}
	if t.From != "" {
		dst = appendQuote(append(dst, `,"from":`...), t.From)
	}
	if t.Dest != "" {
		dst = appendQuote(append(dst, `,"dest":`...), t.Dest)
	}
	if t.Time != 0 {
		dst = strconv.AppendInt(append(dst, `,"time":`...), t.Time, 10)
	}
	return append(dst, '}')
}

func appendRefusal(dst []byte, t *Transport) []byte {
	id := t.Refusal.ID
	if id.IsZero() && len(t.IDs) > 0 {
		id = t.IDs[0]
	}
	dst = append(dst, `,"data":`...)
	if id.IsZero() {
		dst = append(dst, `null`...)
	} else {
		dst = appendID(dst, id)
	}
	dst = appendQuote(append(dst, `,"code":`...), t.Refusal.Code)
	return appendQuote(append(dst, `,"reason":`...), t.Refusal.Reason)
}

func appendIDs(dst []byte, ids []ID) []byte {
	switch len(ids) {
	case 0:
		return dst
	case 1:
		return appendID(append(dst, `,"data":`...), ids[0])
	}
	dst = append(dst, `,"data":[`...)
	for _, id := range ids {
		dst = append(appendID(dst, id), ',')
	}
	dst[len(dst)-1] = ']'
	return dst
}

func appendID(dst []byte, id ID) []byte {
	if id.Number {
		return append(dst, id.Text...)
	}
	return appendQuote(dst, id.Text)
}

// appendQuote writes s as a JSON string. What is not UTF-8 in it, which only an application's own text can hold, is
// replaced.
func appendQuote(dst []byte, s string) []byte {
	if plainLen(unsafe.Slice(unsafe.StringData(s), len(s))) == len(s) {
		return append(append(append(dst, '"'), s...), '"')
	}
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}
