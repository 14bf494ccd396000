package bachata

import "reflect"

// Calm reports whether nothing was ever written to what sessions without traffic share.
func Calm() bool { return reflect.ValueOf(&calm).Elem().IsZero() }

// Refused reports whether the socket of s has refused to take more.
func Refused(s *Session) bool { return !s.isReady() }

// Plain returns the places of the known members of text, and whether they could be read without the JSON reader.
func Plain(text []byte) (places any, ok bool) {
	var m members
	ok = m.plain(text)
	return m, ok
}

// Read returns what the JSON reader says of text.
func Read(text []byte) (places any, err error) {
	var m members
	if tooDeep(text) {
		return m, refuse(RefusedSyntax, "too deep")
	}
	r := jsonReaders.Get().(*jsonReader)
	defer r.release()
	err = r.scan(text, &m)
	return m, err
}

// DecodeFrom decodes text as a session does whose shown name is from.
func DecodeFrom(text []byte, f *Frame, from string) error {
	return jsonProtocol{}.decode(text, f, reading{from: from})
}

// SetFrom writes the shown name of the sender into a message that is decoded.
func SetFrom(m *Message, from string) { m.setFrom(from) }
