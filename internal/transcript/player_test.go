package transcript

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// parrot is a server that sends a 1000 and some frames of its choice, answers 1001 and passes fences on to their
// only channel.
func parrot(t *testing.T, frames ...string) string {
	t.Helper()
	fenced := make(chan []byte, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = n.Close() }()
		write := func(text string) { _ = wsutil.WriteServerText(n, []byte(text)) }
		write(`{"type":1000}`)
		if r.URL.Query().Get("channel") != fenceType {
			for _, f := range frames {
				write(f)
			}
		}
		for {
			text, err := wsutil.ReadClientText(n)
			switch {
			case err != nil:
				return // it answers a close by itself
			case string(text) == `{"type":1001}`:
				write(`{"type":1002}`)
			case strings.Contains(string(text), fenceType):
				fenced <- text
			}
			if string(text) == `{"type":1001}` {
				go func() { _ = wsutil.WriteServerText(n, <-fenced) }()
			}
		}
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

func TestPlayIsStrict(t *testing.T) {
	t.Parallel()
	a, b := `{"type":100,"data":"a"}`, `{"type":100,"data":"b"}`
	for _, tt := range []struct {
		name   string
		frames []string
		steps  string
		want   string // part of the error, empty: none
	}{
		{"nothing", nil, "", ""},
		{"what was expected", []string{a, b}, "anna < " + a + "\nanna = " + b, ""},
		{"another frame", []string{b}, "anna < " + a, `.data is "b", want "a"`},
		{"another order", []string{b, a}, "anna < " + a + "\nanna < " + b, "line 3"},
		{"any order", []string{b, a}, "anna <* " + a + "\nanna <* " + b, ""},
		{"any order, one twice", []string{b, b}, "anna <* " + a + "\nanna <* " + b, "expected one of"},
		{"other bytes", []string{`{"type":100, "data":"a"}`}, "anna = " + a, "the bytes differ from byte 12 on"},
		{"one more at the end", []string{a, b}, "anna < " + a, "something was not expected"},
		{"one more before a close", []string{a}, "anna close", "got " + a},
		{"no close", nil, "anna closed 1009\nanna idle", "nothing came"},
		{"who is not connected", nil, "bob idle", "bob is not connected"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := Parse("queue any\nanna connect\n" + tt.steps)
			if err != nil {
				t.Fatal(err)
			}
			p := newPlayer(parrot(t, tt.frames...), nil)
			if tt.want == "nothing came" {
				p.timeout /= 300
			}
			err = p.run(context.Background(), s)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Play = %v, want an error with %q", err, tt.want)
			}
		})
	}
}
