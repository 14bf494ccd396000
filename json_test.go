package bachata_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bachata-go/bachata"
)

func decode(t *testing.T, text string) (*bachata.Frame, *bachata.Refusal) {
	t.Helper()
	var f bachata.Frame
	err := bachata.JSON().Decode([]byte(text), &f)
	var r *bachata.Refusal
	if err != nil && !errors.As(err, &r) {
		t.Fatalf("Decode(%q) = %v, want a *Refusal", text, err)
	}
	return &f, r
}

func TestDecodeMessage(t *testing.T) {
	t.Parallel()
	f, r := decode(t, ` {"id":"a\u0062","type":"direct","time":17,"data":{"text":"hi","n":1.10},"dest":"bob","sign":"s","x":[1e400]} `)
	if r != nil {
		t.Fatal(r)
	}
	m := &f.Message
	if m.ID() != bachata.StringID("ab") || m.Type() != "direct" || m.Time() != 17 || m.Dest() != "bob" || m.Sign() != "s" {
		t.Errorf("Decode read id %v, type %q, time %d, dest %q, sign %q", m.ID(), m.Type(), m.Time(), m.Dest(), m.Sign())
	}
	if m.Data() != `{"text":"hi","n":1.10}` {
		t.Errorf("Data() = %s", m.Data())
	}
}

func TestDecodeIDSpelling(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]bachata.ID{
		`5`:                    {Text: "5", Number: true},
		`"5"`:                  {Text: "5"},
		`1.10`:                 {Text: "1.10", Number: true},
		`12345678901234567890`: {Text: "12345678901234567890", Number: true},
		`1e400`:                {Text: "1e400", Number: true},
		`"\ud83c\udf89"`:       {Text: "🎉"},
		`null`:                 {},
		`"a:wait"`:             {Text: "a:wait"},
	} {
		f, r := decode(t, `{"type":"x","id":`+raw+`}`)
		if r != nil || f.Message.ID() != want {
			t.Errorf("Decode(id %s) = %v, %v, want %v", raw, f.Message.ID(), r, want)
		}
	}
}

func TestDecodeTransport(t *testing.T) {
	t.Parallel()
	f, r := decode(t, `{"type":200,"data":["a",5],"from":"bob","dest":"anna"}`)
	if r != nil || !f.IsTransport() || f.Transport.Code != bachata.CodeReceived {
		t.Fatalf("Decode = %+v, %v", f.Transport, r)
	}
	if got := fmt.Sprint(f.Transport.IDs); got != `["a" 5]` {
		t.Errorf("IDs = %s", got)
	}
	if f.Transport.From != "bob" || f.Transport.Dest != "anna" {
		t.Errorf("From, Dest = %q, %q", f.Transport.From, f.Transport.Dest)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", bachata.MaxName+1)
	for _, tt := range []struct{ name, text, code, id string }{
		{"nothing", ``, bachata.RefusedSyntax, ""},
		{"no object", `[1]`, bachata.RefusedSyntax, ""},
		{"cut off", `{"type":"x"`, bachata.RefusedSyntax, ""},
		{"two values", `{"type":"x"}{}`, bachata.RefusedSyntax, ""},
		{"NaN", `{"type":"x","data":NaN}`, bachata.RefusedSyntax, ""},
		{"raw NUL", "{\"type\":\"x\",\"data\":\"\x00\"}", bachata.RefusedSyntax, ""},
		{"invalid UTF-8", "{\"type\":\"x\",\"data\":\"\xff\"}", bachata.RefusedSyntax, ""},
		{"known name twice", `{"type":"x","id":"1","id":"2"}`, bachata.RefusedSyntax, ""},
		{"known name twice, escaped", `{"type":"x","id":"1","\u0069d":"2"}`, bachata.RefusedSyntax, ""},
		{"unknown name twice", `{"type":"x","a":1,"\u0061":2}`, bachata.RefusedSyntax, ""},
		{"too deep", `{"type":"x","data":` + strings.Repeat("[", 128) + strings.Repeat("]", 128) + `}`, bachata.RefusedSyntax, ""},
		{"too many names", `{"type":"x"` + manyNames(65) + `}`, bachata.RefusedSyntax, ""},
		{"no type", `{"id":"7"}`, bachata.RefusedType, "7"},
		{"type null", `{"id":"7","type":null}`, bachata.RefusedType, "7"},
		{"type empty", `{"id":"7","type":""}`, bachata.RefusedType, "7"},
		{"type fraction", `{"type":1.5}`, bachata.RefusedType, ""},
		{"type exponent", `{"type":1e2}`, bachata.RefusedType, ""},
		{"type negative", `{"type":-200,"data":"7"}`, bachata.RefusedType, ""},
		{"type array", `{"id":"7","type":["x"]}`, bachata.RefusedType, "7"},
		{"id empty", `{"type":"x","id":""}`, bachata.RefusedField, ""},
		{"id object", `{"type":"x","id":{}}`, bachata.RefusedField, ""},
		{"id too long", `{"type":"x","id":"` + long + `"}`, bachata.RefusedField, ""},
		{"id half a pair", `{"type":"x","id":"\ud83c"}`, bachata.RefusedField, ""},
		{"dest too long", `{"type":"x","id":"7","dest":"` + long + `"}`, bachata.RefusedField, "7"},
		{"dest number", `{"type":"x","id":"7","dest":5}`, bachata.RefusedField, "7"},
		{"time string", `{"type":"x","id":"7","time":"now"}`, bachata.RefusedField, "7"},
		{"200 of nothing", `{"type":200}`, bachata.RefusedField, ""},
		{"200 of an empty array", `{"type":200,"data":[]}`, bachata.RefusedField, ""},
		{"200 of too many", `{"type":200,"data":[1` + strings.Repeat(",1", 1000) + `]}`, bachata.RefusedField, ""},
		{"200 of null in an array", `{"type":200,"data":[null]}`, bachata.RefusedField, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, r := decode(t, tt.text)
			if r == nil || r.Code != tt.code || r.ID.Text != tt.id {
				t.Errorf("Decode(%.80q) = %v, want code %q and id %q", tt.text, r, tt.code, tt.id)
			}
		})
	}
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"n%d":0`, i)
	}
	return b.String()
}

func TestDecodeKeepsWhatIsTheApplications(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"type":"x","data":{"a":1,"a":2}}`,
		`{"type":"x","data":"\ud83c lone \u0000"}`,
		`{"type":"x","data":[1.10,1e400,12345678901234567890,-0]}`,
		`{"type":"x","data":` + strings.Repeat("[", 127) + strings.Repeat("]", 127) + `}`,
		"{ \"type\" : \"x\" ,\n\t\"z\":\"🎉\" }\n",
		`{"type":"x","data":"` + strings.Repeat(`[{\"`, 300) + `"}`,
		`{"type":"x"` + manyNames(64) + `}`,
	} {
		f, r := decode(t, text)
		if r != nil {
			t.Errorf("Decode(%.80q) = %v", text, r)
			continue
		}
		if got := string(bachata.JSON().AppendMessage(nil, &f.Message)); got != text {
			t.Errorf("AppendMessage = %.80q, want the frame's own bytes %.80q", got, text)
		}
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	f, _ := decode(t, `{"id":1.10, "type":"x", "n":1e400, "data":{"a":1}}`)
	m := &f.Message
	if err := m.Set("data", map[string]int{"b": 2}); err != nil {
		t.Fatal(err)
	}
	if err := m.Set("extra", "new"); err != nil {
		t.Fatal(err)
	}
	want := `{"id":1.10,"type":"x","n":1e400,"data":{"b":2},"extra":"new"}`
	if got := string(bachata.JSON().AppendMessage(nil, m)); got != want {
		t.Errorf("AppendMessage after Set = %s, want %s", got, want)
	}
	for _, name := range []string{"id", "from"} {
		if err := m.Set(name, "y"); err == nil {
			t.Errorf("Set(%q) succeeded", name)
		}
	}
	if err := m.Set("dest", 5); err == nil {
		t.Error("Set(dest, 5) succeeded")
	}
}

func TestMakeMessage(t *testing.T) {
	t.Parallel()
	m, err := bachata.MakeMessage(bachata.Draft{ID: bachata.StringID("1"), Type: "note", Time: 3, From: "system", Dest: "bob", Sign: "s", Data: "<b>"})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"1","type":"note","time":3,"dest":"bob","data":"\u003cb\u003e","sign":"s","from":"system"}`
	if got := string(bachata.JSON().AppendMessage(nil, m)); got != want {
		t.Errorf("AppendMessage = %s, want %s", got, want)
	}
	for _, d := range []bachata.Draft{
		{},
		{Type: "x", Dest: strings.Repeat("d", 256)},
		{Type: "x", ID: bachata.ID{Text: "x", Number: true}},
		{Type: "x", Data: func() {}},
	} {
		if _, err := bachata.MakeMessage(d); err == nil {
			t.Errorf("MakeMessage(%+v) succeeded", d)
		}
	}
}

func TestAppendTransport(t *testing.T) {
	t.Parallel()
	id := bachata.ID{Text: "1.10", Number: true}
	for _, tt := range []struct {
		t    bachata.Transport
		want string
	}{
		{bachata.Transport{Code: bachata.CodeAccepted, IDs: []bachata.ID{id}}, `{"type":100,"data":1.10}`},
		{bachata.Transport{Code: bachata.CodeAccepted, IDs: []bachata.ID{id}, Dup: true}, `{"type":100,"data":1.10,"dup":true}`},
		{bachata.Transport{Code: bachata.CodeReceived, IDs: []bachata.ID{id, bachata.StringID("a\"")}}, `{"type":200,"data":[1.10,"a\""]}`},
		{bachata.Transport{Code: bachata.CodeDelivered, IDs: []bachata.ID{bachata.StringID("a")}, From: "bob", Dest: "b", Time: 9}, `{"type":300,"data":"a","from":"bob","dest":"b","time":9}`},
		{bachata.Transport{Code: bachata.CodeRefused, Refusal: &bachata.Refusal{Code: "x", Reason: "y"}}, `{"type":400,"data":null,"code":"x","reason":"y"}`},
		{bachata.Transport{Code: bachata.CodeReady, DedupeMillis: 1000, MaxMessage: 65536, From: "anna"}, `{"type":1000,"dedupe":1000,"max":65536,"from":"anna"}`},
		{bachata.Transport{Code: bachata.CodePong}, `{"type":1002}`},
		{bachata.Transport{Code: bachata.CodeGoingAway, ReconnectMillis: 1500}, `{"type":1003,"data":1500}`},
		{bachata.Transport{Code: bachata.CodeGap, Gap: bachata.Gap{Dropped: 2}}, `{"type":1004,"dropped":2,"expired":0}`},
		{bachata.Transport{Code: bachata.CodeGap, Gap: bachata.Gap{Receipts: 2}}, `{"type":1004,"dropped":0,"expired":0,"receipts":2}`},
	} {
		if got := string(bachata.JSON().AppendTransport(nil, &tt.t)); got != tt.want {
			t.Errorf("AppendTransport(%+v) = %s, want %s", tt.t, got, tt.want)
		}
	}
}

// realMessages are a chat line, a formatted text, and the largest that is allowed by default.
func realMessages() map[string][]byte {
	blocks := func(size int) string {
		var b strings.Builder
		for b.Len() < size {
			b.WriteString(`,{"kind":"paragraph","text":"Some text with \"quotes\" and emoji 🎉, and more","marks":[1,2.5,true]}`)
		}
		return `{"blocks":[` + b.String()[1:] + `]}`
	}
	envelope := `{"id":"6f1e7c1e-9f0b-4a2e-8a39-2f7f4f6f2b11","type":"direct","time":1763900000000,"dest":"user:1842","data":%s}`
	return map[string][]byte{
		"150B": fmt.Appendf(nil, envelope, `{"text":"Are you coming tonight? 🎉"}`),
		"2KB":  fmt.Appendf(nil, envelope, blocks(1850)),
		"64KB": fmt.Appendf(nil, envelope, blocks(65000)),
	}
}

func TestDecodeAllocates(t *testing.T) {
	most := 1.0
	if raceDetector {
		most = 4 // sync.Pool forgets on purpose then
	}
	p, f := bachata.JSON(), new(bachata.Frame)
	for name, text := range realMessages() {
		var dst []byte
		allocs := testing.AllocsPerRun(100, func() {
			if err := p.Decode(text, f); err != nil {
				t.Fatal(err)
			}
			dst = p.AppendMessage(dst[:0], &f.Message)
		})
		if allocs > most {
			t.Errorf("decode and append of %s allocates %v times, want 1: the copy of the frame", name, allocs)
		}
	}
}

// BenchmarkDecode compares decode and append with json.Valid on the same bytes.
func BenchmarkDecode(b *testing.B) {
	p, f := bachata.JSON(), new(bachata.Frame)
	for _, name := range []string{"150B", "2KB", "64KB"} {
		text := realMessages()[name]
		b.Run(name+"/valid", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				json.Valid(text)
			}
		})
		b.Run(name+"/decode+append", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				if err := p.Decode(text, f); err != nil {
					b.Fatal(err)
				}
				dst = p.AppendMessage(dst[:0], &f.Message)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range realMessages() {
		f.Add(m)
	}
	f.Add([]byte(`{"type":200,"data":["a",5,1.10],"from":"x"}`))
	f.Add([]byte(`{"type":"x","from":5,"id":"\u0061"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var frame bachata.Frame
		p := bachata.JSON()
		if err := p.Decode(text, &frame); err != nil {
			var r *bachata.Refusal
			if !errors.As(err, &r) || r.Code == "" || r.Reason == "" {
				t.Fatalf("Decode(%q) = %v, want a whole refusal", text, err)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatalf("Decode(%q) took what is no JSON", text)
		}
		if frame.IsTransport() {
			return
		}
		again := p.AppendMessage(nil, &frame.Message)
		var second bachata.Frame
		if err := p.Decode(again, &second); err != nil || second.Message.ID() != frame.Message.ID() {
			t.Fatalf("Decode(%q) of what was appended: %v", again, err)
		}
	})
}
