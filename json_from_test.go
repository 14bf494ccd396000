package bachata_test

import (
	"fmt"
	"testing"

	"github.com/bachata-go/bachata"
)

// fields is all that a route sees of a message.
func fields(m *bachata.Message) string {
	return fmt.Sprintf("%q", []any{m.ID(), m.Type(), m.Time(), m.From(), m.Dest(), m.Sign(), m.Data(), m.Ephemeral()})
}

// sameFrom fails if a message that is decoded with a shown name differs from one that was given it afterwards.
func sameFrom(t *testing.T, text []byte, from string) {
	t.Helper()
	p := bachata.JSON()
	var plain, stamped bachata.Frame
	err, errStamped := p.Decode(text, &plain), bachata.DecodeFrom(text, &stamped, from)
	if fmt.Sprint(err) != fmt.Sprint(errStamped) {
		t.Fatalf("Decode(%q) = %v, with a shown name %v", text, err, errStamped)
	}
	if err != nil || plain.IsTransport() {
		return
	}
	a, b := &plain.Message, &stamped.Message
	bachata.SetFrom(a, from)
	bachata.SetFrom(b, from)
	for _, name := range []string{"", "extra", "dest"} {
		if name != "" {
			for _, m := range []*bachata.Message{a, b} {
				if err := m.Set(name, "new"); err != nil {
					t.Fatal(err)
				}
			}
		}
		if fields(a) != fields(b) {
			t.Errorf("fields of %q are %s, with %q from the start %s", text, fields(a), from, fields(b))
		}
		if one, other := string(p.AppendMessage(nil, a)), string(p.AppendMessage(nil, b)); one != other {
			t.Errorf("%q becomes %q, with %q from the start %q", text, one, from, other)
		}
	}
}

func fromTexts() []string {
	return append(plainTexts(),
		`{"type":"x","id":1.10,"dest":"bob","data":{"from":"eve"},"sign":"s","time":-5} `+"\n",
		`{"type":"x","from":"anna","dest":"bob"}`,
		`{"type":"x","from":"\u0061nna","dest":"b\u006fb"}`,
		`{"id":"1","type":"x","from":"somebody else","dest":"bob","data":"}","ephemeral":true}`,
		`{"from":null,"id":"\n","type":"x","sign":"\t","dest":"bob","data":[]}`,
		`{"from":{"a":"}"},"id":7,"type":"\u0078"}`,
		`{"\u0066rom":"eve","type":"x","id":7}`,
		`{"type":"x","id":""}`, `{"type":"","from":1}`, `{"type":200,"data":"1","from":"eve"}`,
	)
}

// The shown name is written while the frame is copied; what comes out is the same as if it were written later.
func TestDecodeFrom(t *testing.T) {
	t.Parallel()
	for _, text := range fromTexts() {
		for _, from := range []string{"anna", "é\"\\\n", "a"} {
			sameFrom(t, []byte(text), from)
		}
	}
}

func FuzzDecodeFrom(f *testing.F) {
	for _, text := range fromTexts() {
		f.Add([]byte(text), "anna")
	}
	f.Add([]byte(`{"type":"x","from":5,"id":"\u0061"}`), "\"é")
	f.Fuzz(func(t *testing.T, text []byte, from string) {
		if bachata.CheckName("from", from) == nil {
			sameFrom(t, text, from)
		}
	})
}
