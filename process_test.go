package bachata_test

import (
	"context"
	"testing"

	"github.com/bachata-go/bachata"
)

// TestSendKnowsIDs sends a message of the server's own twice, the second time to somebody else too.
func TestSendKnowsIDs(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		bob, carol := connect(t, c, "bob"), connect(t, c, "carol")
		send := func(id bachata.ID, channels ...string) bachata.Result {
			t.Helper()
			m, err := bachata.MakeMessage(bachata.Draft{ID: id, Type: "news"})
			if err != nil {
				t.Fatal(err)
			}
			result, err := c.Send(context.Background(), m, channels...)
			if err != nil {
				t.Fatal(err)
			}
			return result
		}
		if r := send(bachata.StringID("1"), "bob", "bob"); r.Dup || len(r.Channels) != 1 {
			t.Errorf("Send = %+v, want bob once", r)
		}
		bob.expect(`{"id":"1","type":"news"}`)
		if r := send(bachata.StringID("1"), "bob", "carol"); !r.Dup {
			t.Errorf("Send of the same id = %+v, want a duplicate", r)
		}
		carol.expect()
		send(bachata.ID{}, "carol")
		carol.expect(`{"type":"news"}`)
		bob.expect()
	})
}
