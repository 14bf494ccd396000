package bachata_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bachata-go/bachata"
)

// Sockets open and close while everybody is written to, stored messages and ephemeral ones: each only ever sees what is
// its own channel's, though its descriptor was another's a moment ago.
func TestNobodySeesWhatIsAnothers(t *testing.T) {
	t.Parallel()
	for name, serve := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const channels = 8
			lives := 40 // of a channel's socket
			if testing.Short() || name != "polled" {
				lives = 8
			}
			center := storingCenter(t)
			url := serve(t, nil, func(h *bachata.Handler) { h.Center = center })

			ctx, stop := context.WithCancel(t.Context())
			var writers sync.WaitGroup
			for w := range 2 {
				writers.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						channel := fmt.Sprintf("c%d", i%channels)
						text := fmt.Sprintf(`{"id":"%d-%d","type":"direct","data":%q}`, w, i, channel)
						if i%2 == 0 {
							text = fmt.Sprintf(`{"type":"direct","ephemeral":true,"data":%q}`, channel)
						}
						m, err := center.Decode([]byte(text))
						if err == nil {
							_, _ = center.Send(ctx, m, channel) // an inbox may be full
						}
					}
				})
			}
			var seen atomic.Int64
			var clients sync.WaitGroup
			for n := range channels {
				clients.Go(func() {
					own := fmt.Sprintf("c%d", n)
					for life := range lives {
						c, err := tryDial(t, strings.Replace(url, "anna", own, 1), nil)
						if err != nil {
							t.Error(err)
							return
						}
						seen.Add(ownOnly(t, c, own, 1+(life*7+n)%30))
						c.Conn.Close()
					}
				})
			}
			clients.Wait()
			stop()
			writers.Wait()
			if seen.Load() < int64(channels*lives) {
				t.Errorf("only %d messages came to %d sockets: the test shows little", seen.Load(), channels*lives)
			}
		})
	}
}

// ownOnly reads n frames and checks that the messages among them, which it confirms and counts, are for channel own.
func ownOnly(t *testing.T, c *client, own string, n int) (seen int64) {
	for range n {
		op, payload, err := c.read()
		if err != nil {
			t.Errorf("%s: %v", own, err)
			return seen
		}
		var frame struct {
			ID, Type any
			Data     string
		}
		if op == ping {
			continue
		}
		if err := json.Unmarshal(payload, &frame); err != nil {
			if op != text || !strings.HasPrefix(string(payload), `{"type":1`) { // whose data is no string
				t.Errorf("%s was sent %d %q, which is no whole frame of its own", own, op, payload)
			}
			continue
		}
		if frame.Type != "direct" {
			continue
		}
		seen++
		if frame.Data != own {
			t.Errorf("%s was sent what is for %s", own, frame.Data)
		}
		if id, ok := frame.ID.(string); ok && seen%3 > 0 {
			_, _ = c.Write(texts(fmt.Sprintf(`{"type":200,"data":%q}`, id)))
		}
	}
	return seen
}
