package bachata_test

import (
	"fmt"
	"testing"

	"github.com/bachata-go/bachata"
)

// RFC 6455, sections 5.6 and 8.1: text is UTF-8 (RFC 3629), over all fragments of a message together.
func TestUTF8(t *testing.T) {
	t.Parallel()
	onEach(t, nil, testUTF8)
}

func testUTF8(t *testing.T, url string) {
	valid := map[string]string{
		"2 to 4 bytes":          "κόσμε ß 水 😀",
		"first of 2 bytes":      "\u0080",
		"last of 2 bytes":       "\u07ff",
		"first of 3 bytes":      "\u0800",
		"last of 3 bytes":       "\uffff",
		"first of 4 bytes":      "\U00010000",
		"last character":        "\U0010ffff",
		"before the surrogates": "\ud7ff",
		"behind the surrogates": "\ue000",
		"replacement":           "\ufffd",
		"byte order mark":       "\ufeff",
		"noncharacters":         "\ufdd0\ufffe\U0001fffe\U0001ffff\U0010fffe",
	}
	for name, s := range valid {
		for size := range 4 { // zero: in one frame
			t.Run(fmt.Sprintf("5.6 %s in fragments of %d", name, size), func(t *testing.T) {
				t.Parallel()
				c := ready(t, url)
				message := `{"id":"` + s + `","type":"direct","dest":"bob"}`
				c.write(fragmented(text, message, size))
				if got, want := c.text(), `{"type":100,"data":"`+s+`"}`; got != want {
					t.Errorf("answered %q, want %q", got, want)
				}
			})
		}
	}

	invalid := map[string]string{
		"continuation":                     "\x80",
		"last continuation":                "\xbf",
		"continuations":                    "\x80\xbf\x80\xbf",
		"start of 2 bytes":                 "\xc2 ",
		"start of 3 bytes":                 "\xe1 ",
		"start of 4 bytes":                 "\xf1 ",
		"3 bytes without the last":         "\xe1\x80 ",
		"4 bytes without the last":         "\xf1\x80\x80 ",
		"5 bytes":                          "\xf8\x88\x80\x80\x80",
		"6 bytes":                          "\xfc\x84\x80\x80\x80\x80",
		"FE":                               "\xfe",
		"FF":                               "\xff",
		"behind the last character":        "\xf4\x90\x80\x80",
		"4 bytes, the largest":             "\xf7\xbf\xbf\xbf",
		"overlong slash in 2 bytes":        "\xc0\xaf",
		"overlong slash in 3 bytes":        "\xe0\x80\xaf",
		"overlong slash in 4 bytes":        "\xf0\x80\x80\xaf",
		"overlong slash in 5 bytes":        "\xf8\x80\x80\x80\xaf",
		"largest overlong of 2 bytes":      "\xc1\xbf",
		"largest overlong of 3 bytes":      "\xe0\x9f\xbf",
		"largest overlong of 4 bytes":      "\xf0\x8f\xbf\xbf",
		"overlong NUL":                     "\xc0\x80",
		"first surrogate":                  "\xed\xa0\x80",
		"last high surrogate":              "\xed\xaf\xbf",
		"last surrogate":                   "\xed\xbf\xbf",
		"pair of surrogates":               "\xed\xa0\xbd\xed\xb8\x80",
		"good text, then bad, then good":   "κόσμε\xed\xa0\x80edited",
		"Latin-1":                          "M\xfcnchen",
		"UTF-16":                           "\xff\xfeh\x00i\x00",
		"bad text behind a NUL":            "\x00\xff",
		"character that ends with the end": "", // of the message; set apart below
	}
	for name, s := range invalid {
		message := `{"id":"` + s + `","type":"direct","dest":"bob"}`
		if s == "" {
			message = "\"\xf0\x9f\x98"
		}
		for size := range 3 {
			t.Run(fmt.Sprintf("8.1 %s in fragments of %d", name, size), func(t *testing.T) {
				t.Parallel()
				c := ready(t, url)
				c.write(fragmented(text, message, size))
				c.expectClose(bachata.CloseBadText)
				c.expectEnd()
			})
		}
	}
}
