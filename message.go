package bachata

import "strconv"

// ID is the id of a message: a string, or a number that is spelled in every answer as it came. Ids compare by
// their text: 5 and "5" are the same, 1.10 and 1.1 are not. The zero ID means that there is none.
type ID struct {
	Text   string
	Number bool // written without quotes
}

// StringID makes an id of a string.
func StringID(text string) ID { return ID{Text: text} }

// IsZero reports whether there is no id.
func (id ID) IsZero() bool { return id.Text == "" }

// String returns the id as it is spelled on the wire.
func (id ID) String() string {
	if id.Number {
		return id.Text
	}
	return strconv.Quote(id.Text)
}

// Message is a data message: one with a string type. It is either decoded from a frame, and then keeps the frame's
// own bytes, or made by MakeMessage. Set changes one field of it; everything else goes out as it came in.
//
// A Message is not safe for concurrent changes; reading it concurrently is fine once no route changes it any more.
type Message struct {
	id                     ID
	typ, from, dest, sign  string
	data                   string // as encoded
	time                   int64  // unless it is sent
	sent                   string // the time as encoded: few ask for it
	text                   string // the frame, as it came
	fromStart, fromEnd     int    // of the value of "from" in text; zero if it has none
	added                  int    // where it was added to text, behind which nothing else stands; zero if it was there
	edits                  []edit // what Set changed
	fromString             bool   // that value is a string
	ephemeral, fromChanged bool
}

// Draft is what MakeMessage makes a message of. Fields that are zero are left out.
type Draft struct {
	ID   ID
	Type string // required
	Time int64  // Unix milliseconds
	From string
	Dest string
	Sign string
	Data any // encoded as JSON
}

// ID returns the message's id, the zero ID if it has none.
func (m *Message) ID() ID { return m.id }

// Type returns the message's type.
func (m *Message) Type() string { return m.typ }

// Time returns the message's time in Unix milliseconds: zero if it has none, or one that is no 64-bit integer.
func (m *Message) Time() int64 {
	if m.sent != "" {
		return parseInt(m.sent)
	}
	return m.time
}

// From returns who sent the message, as others see it. The center sets it before the first route runs.
func (m *Message) From() string { return m.from }

// Dest returns the message's destination.
func (m *Message) Dest() string { return m.dest }

// Sign returns the message's signature, if that is a string.
func (m *Message) Sign() string { return m.sign }

// Data returns the value of "data" as it is encoded (with the JSON protocol: JSON text), empty if there is none.
func (m *Message) Data() string { return m.data }

// Ephemeral reports whether the message asks to be shown to those connected now and never stored
// (PROTOCOL.md, "Ephemeral messages").
func (m *Message) Ephemeral() bool { return m.ephemeral }
