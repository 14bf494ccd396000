package bachata_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/bachata-go/bachata"
)

// RFC 6455, sections 5.5.1 and 7.4: the codes that a client may close with, which are echoed, and those that it may not.
func TestCloseFromTheClient(t *testing.T) {
	t.Parallel()
	onEach(t, nil, testCloseFromTheClient)
}

func testCloseFromTheClient(t *testing.T, url string) {
	const (
		protocol = bachata.CloseProtocolError
		badText  = bachata.CloseBadText
	)
	type row struct {
		name, body string
		want       bachata.CloseCode // zero: a close frame without a code
	}
	rows := []row{
		{"5.5.1 without a body", "", 0},
		{"5.5.1 code of one byte", "\x03", protocol},
		{"5.5.1 reason", "\x03\xe8bye", 1000},
		{"5.5.1 longest reason", "\x03\xe8" + strings.Repeat("x", 123), 1000},
		{"5.5.1 longest reason of two-byte characters", "\x03\xe8" + strings.Repeat("é", 61), 1000},
		{"5.5.1 reason that is not UTF-8", "\x03\xe8\xff", badText},
		{"5.5.1 reason that ends within a character", "\x03\xe8bye\xf0\x9f\x98", badText},
		{"5.5.1 reason with a surrogate", "\x03\xe8\xed\xa0\x80", badText},
	}
	for _, code := range []bachata.CloseCode{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		rows = append(rows, row{fmt.Sprintf("7.4 code %d", code), string(binary.BigEndian.AppendUint16(nil, uint16(code))), code})
	}
	for _, code := range []uint16{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535} {
		rows = append(rows, row{fmt.Sprintf("7.4 code %d", code), string(binary.BigEndian.AppendUint16(nil, code)) + "bye", protocol})
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			c := ready(t, url)
			c.write(join(texts(note), frame(fin|closing, r.body)))
			if got := c.text(); got != accepted {
				t.Errorf("what came before was answered %s, want %s", got, accepted)
			}
			c.expectClose(r.want)
			if r.want == protocol && r.name != "7.4 code 1002" || r.want == badText && r.name != "7.4 code 1007" {
				c.expectEnd()
				return
			}
			// Section 7.1.1: the server closes first, and needs nothing more from the client for that.
			if b, err := io.ReadAll(c.r); err != nil || len(b) > 0 {
				t.Errorf("behind the close frame came %q, %v; want the end of the stream", b, err)
			}
		})
	}
}

// The server's own close frames have a code that may be sent and a reason in UTF-8, whatever the application gave.
func TestCloseCodesOfTheServer(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		for _, test := range []struct {
			code   bachata.CloseCode
			reason string
			want   bachata.CloseCode
			told   string
		}{
			{1000, "", 1000, ""},
			{1000, "bye", 1000, "bye"},
			{1003, "", 1003, ""},
			{1014, "", 1014, ""},
			{3000, "", 3000, ""},
			{4999, strings.Repeat("é", 100), 4999, strings.Repeat("é", 61)},
			{4000, "M\xfcnchen", 4000, "M\ufffdnchen"},
			{4000, strings.Repeat("\xff", 100), 4000, "\ufffd"},
			{0, "", 0, ""},
			{0, "not sent without a code", 0, ""},
			{1005, "", 1011, ""},
			{1006, "bye", 1011, "bye"},
			{1015, "", 1011, ""},
			{999, "", 1011, ""},
			{2999, "", 1011, ""},
			{5000, "", 1011, ""},
		} {
			t.Run(fmt.Sprintf("%s/7.4 code %d %.10q", name, test.code, test.reason), func(t *testing.T) {
				t.Parallel()
				c, s, closed := sessionOf(t, serve, nil)
				s.Close(test.code, test.reason)
				if got := c.expectClose(test.want); got != test.told {
					t.Errorf("the reason is %q, want %q", got, test.told)
				}
				c.expectEnd()
				<-closed
			})
		}
	}
}

// Section 7.1.2: both may close at once. The client's code is not echoed then, for the server has sent its close frame.
func TestBothClose(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s, closed := sessionOf(t, serve, nil)
			s.Close(bachata.CloseTooMuch, "")
			c.write(closeFrame(4000, ""))
			c.expectClose(bachata.CloseTooMuch)
			if b, err := io.ReadAll(c.r); err != nil || len(b) > 0 {
				t.Errorf("behind the close frame came %q, %v; want the end of the stream", b, err)
			}
			<-closed
		})
	}
}

// Section 7.1.5: a client that ends the stream without a close frame is no error to anybody else, and its session ends.
func TestEndWithoutClose(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		for part, in := range map[string][]byte{
			"between messages": nil, "within a header": {fin | text}, "within a frame": texts(note)[:20], "within a message": frame(text, note[:9]),
		} {
			t.Run(name+"/7.1.5 "+part, func(t *testing.T) {
				t.Parallel()
				c, _, closed := sessionOf(t, serve, nil)
				c.write(in)
				c.Conn.Close()
				<-closed
			})
		}
	}
}
