package bachata_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/bachata-go/bachata"
)

// A hook that blocks holds up its own session only: whoever comes behind it in the same batch of events, and whoever comes
// later, is served meanwhile; so is the next one who is not blocked when the hooks of many others are.
func TestBlockingHooks(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			center := storingCenter(t)
			const n = 20
			entered, release := make(chan string, n), make(chan bool)
			letGo := sync.OnceFunc(func() { close(release) })
			url := serve(t, nil, func(h *bachata.Handler) {
				h.Center = center
				h.OnMessage = func(s *bachata.Session, _ *bachata.Message) error {
					if channel := s.Identity().Channel; strings.HasPrefix(channel, "slow") {
						entered <- channel
						<-release
					}
					return nil
				}
			})
			t.Cleanup(letGo) // before the handler waits for its connections
			as := func(channel string) *client { return ready(t, strings.Replace(url, "anna", channel, 1)) }
			var slow []*client
			for i := range n {
				slow = append(slow, as(fmt.Sprint("slow", i)))
			}
			quick := as("quick")
			cycle := func(id string) {
				t.Helper()
				quick.write(texts(fmt.Sprintf(`{"id":%q,"type":"direct","dest":"quick"}`, id)))
				for range 2 { // the message and its 100, in either order
					quick.nextText()
				}
				quick.write(texts(fmt.Sprintf(`{"type":200,"data":%q}`, id)))
				if got := quick.nextText(); !strings.HasPrefix(got, `{"type":300`) {
					t.Fatalf("quick was sent %s, want the 300", got)
				}
			}
			for i, c := range slow {
				c.write(texts(note))
				cycle(fmt.Sprint("a", i))
			}
			for range n {
				<-entered
			}
			cycle("b")
			letGo()
			for _, c := range slow {
				if got := c.text(); got != accepted {
					t.Errorf("when its hook returned, a client was answered %s, want %s", got, accepted)
				}
			}
			cycle("c")
		})
	}
}
