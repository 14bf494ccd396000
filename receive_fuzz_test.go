package bachata_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

// FuzzReceive has one client send anything, and looks that another's message is neither confirmed nor changed by it, and
// that everybody else is served on.
func FuzzReceive(f *testing.F) {
	for _, lines := range []string{
		`{"type":200,"data":"1"}`,
		`{"type":200,"data":["1",1,"a"],"from":"anna","dest":"bob"}` + "\n" + `{"type":1001}`,
		`{"id":"1","type":"direct","dest":"bob","from":"anna"}` + "\n" + `{"id":"1","type":"direct","dest":"bob"}`,
		`{"id":"1","type":"direct","dest":"mallory"}` + "\n" + `{"type":200,"data":"1"}` + "\n" + `{"type":200,"data":"1"}`,
		`{"type":300,"data":"1"}` + "\nnonsense\n" + `{"type":"direct","dest":"bob","ephemeral":true}`,
	} {
		f.Add([]byte(lines))
	}
	f.Fuzz(func(t *testing.T, lines []byte) {
		q := memory.New(nil)
		defer q.Close()
		c := bachata.NewCenter(q, nil)
		defer c.Close()
		if err := c.AddRoute(bachata.Direct("direct")); err != nil {
			t.Fatal(err)
		}
		open := func(channel string) *socket {
			s := &socket{}
			var err error
			if s.session, err = c.Attach(pingingSocket{s}, bachata.Identity{Channel: channel}); err != nil {
				t.Fatal(err)
			}
			return s
		}
		anna, mallory := open("anna"), open("mallory")
		anna.session.Receive([][]byte{[]byte(hi)})

		mallory.session.Receive(bytes.Split(lines, []byte("\n")))
		mallory.session.Pong(lines)

		pending, err := q.Fetch(t.Context(), "bob", 0, bachata.Limit{Messages: 1})
		if err != nil || len(pending) != 1 || string(pending[0].Payload) != hiAt {
			t.Fatalf("after %q bob's inbox begins with %v (%v), want anna's message", lines, pending, err)
		}
		all, err := q.Fetch(t.Context(), "bob", 0, bachata.Limit{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all[1:] {
			if e.From != "mallory" || !strings.Contains(string(e.Payload), `"mallory"`) {
				t.Fatalf("after %q bob's inbox holds %s from %q", lines, e.Payload, e.From)
			}
		}
		anna.session.Receive([][]byte{[]byte(strings.Replace(hi, `"1"`, `"2"`, 1))})
		anna.mu.Lock()
		defer anna.mu.Unlock()
		if got := anna.frames[len(anna.frames)-1]; got != `{"type":100,"data":"2"}` {
			t.Fatalf("after %q anna was answered %s", lines, got)
		}
	})
}
