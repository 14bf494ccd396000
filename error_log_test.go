package bachata_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
)

// TestQueueErrorsAreLoggedSparsely has a client send again and again what a queue that fails refuses.
func TestQueueErrorsAreLoggedSparsely(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	o := &bachata.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	bubble(t, o, func(t *testing.T, c *bachata.Center, q *faultyQueue) {
		anna := connect(t, c, "anna")
		q.putFails.Store(true)
		const refused = `{"type":400,"data":"1","code":"unavailable","reason":"not known to be stored; send the same id again"}`
		for range 50 { // 5 s
			anna.send(hi)
			anna.expect(refused)
			time.Sleep(100 * time.Millisecond)
		}
	})
	if strings.Count(log.String(), "verb=put") != 5 || strings.Count(log.String(), "unlogged=9") != 4 {
		t.Errorf("50 errors in 5 s were logged so, want one a second:\n%s", log.String())
	}
}
