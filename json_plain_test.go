package bachata_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bachata-go/bachata"
)

// samePlaces fails if text is taken without the JSON reader and that would not take it, or would take it otherwise.
func samePlaces(t *testing.T, text []byte) (plain bool) {
	t.Helper()
	places, plain := bachata.Plain(text)
	if !plain {
		return false
	}
	switch read, err := bachata.Read(text); {
	case err != nil:
		t.Errorf("%.80q is taken, the JSON reader says %v", text, err)
	case read != places:
		t.Errorf("the members of %.80q are at %v, the JSON reader says %v", text, places, read)
	}
	return true
}

// plainTexts are texts of the kinds that are read in one pass.
func plainTexts() []string {
	return []string{
		`{}`,
		` { } `,
		`{"type":"x"}`,
		"\t{ \"type\" : \"x\" ,\r\n \"id\" : -0.5e+10 , \"z\":\"🎉\" }\n",
		`{"type":1001}`,
		`{"type":200,"data":["a",5,null,[],{}],"from":"bob"}`,
		`{"data":{"a":[1,{"b":[true,false,null]},"\"\\\/\b\f\n\r\t\u00fF\ud83c"],"":0},"type":"x"}`,
		`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"type":"x","id":"1","time":0,"dest":"b","sign":[],"ephemeral":true}`,
		`{"type":"x","data":` + strings.Repeat("[", 127) + strings.Repeat("]", 127) + `}`,
	}
}

// What clients usually write is read in one pass.
func TestPlainTakes(t *testing.T) {
	t.Parallel()
	for _, m := range realMessages() {
		if !samePlaces(t, m) {
			t.Errorf("%.80q is left to the JSON reader", m)
		}
	}
	for _, text := range plainTexts() {
		if !samePlaces(t, []byte(text)) {
			t.Errorf("%.80q is left to the JSON reader", text)
		}
	}
}

// unusualTexts are wrong, or unusual.
func unusualTexts() []string {
	return []string{
		``, ` `, `{`, `[]`, `"x"`, `1`, `{"type"`, `{"type":`, `{"type":"x"`, `{"type":"x",}`, `{"type":"x"} 1`, `{,}`, `{"type" "x"}`,
		`{"type":"x","type":"x"}`, `{"a":1,"a":2}`, `{"\u0061":1}`, `{"é":1}`, `{type:1}`, `{"type":x}`, `{"type":"x"}}`,
		`{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":.1}`, `{"a":1e}`, `{"a":+1}`, `{"a":1e+}`, `{"a":tru}`, `{"a":nul1}`, `{"a":truex}`,
		`{"a":"\x"}`, `{"a":"\u12g4"}`, `{"a":"\u123`, `{"a":"\`, `{"a":"` + "\x1f" + `"}`, `{"a":"12345678` + "\x00" + `"}`, `{"a":"\u` + "\x10" + `123"}`,
		`{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":[1}}`, `{"a":{"b":1,}}`, `{"a":{"b"}}`, `{"a":{1:2}}`, `{"a":{"b":1]}`,
		`{"type":"x","data":` + strings.Repeat("[", 128) + strings.Repeat("]", 128) + `}`,
		`{"type":"x"` + manyNames(9) + `}`,
	}
}

// What is wrong or unusual is left to the reader.
func TestPlainLeaves(t *testing.T) {
	t.Parallel()
	for _, text := range unusualTexts() {
		if _, plain := bachata.Plain([]byte(text)); plain {
			t.Errorf("%.80q is taken without the JSON reader", text)
		}
	}
}

// FuzzPlain holds what is read in one pass equal to what the JSON reader makes of it: the same is taken, and the members
// are found at the same places.
func FuzzPlain(f *testing.F) {
	for _, text := range append(plainTexts(), unusualTexts()...) {
		f.Add([]byte(text))
	}
	f.Add(realMessages()["150B"])
	f.Fuzz(func(t *testing.T, text []byte) {
		if utf8.Valid(text) { // else it is refused before
			samePlaces(t, text)
		}
	})
}
