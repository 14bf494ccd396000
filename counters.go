package bachata

// Counters receives what a center and a queue count, for any metrics library to publish. Add may be called concurrently and
// from hot paths: it must be cheap and must not block.
type Counters interface {
	Add(c Counter, n int64)
}

// Counter names something that is counted.
type Counter uint8

const (
	CountFramesIn        Counter = iota // frames that came
	CountAccepted                       // messages answered with 100
	CountDuplicate                      // of these, known before
	CountRefused                        // 400s
	CountUnavailable                    // of these, because the queue was
	CountWritten                        // messages written to sockets
	CountConfirmed                      // messages taken off an inbox by a 200
	CountReceipts                       // receipts written to sockets
	CountGaps                           // 1004s written
	CountWindowFull                     // times that a session's window was full for too long
	CountOpened                         // sockets opened
	CountClosed                         // sockets closed
	CountPostProcess                    // post-processings run
	CountRouteErrors                    // errors and panics of routes and hooks
	CountDedupeShortened                // times that a queue forgot ids early, because of its cap on remembered ids
	numCounters
)

var counterNames = [numCounters]string{
	"frames_in", "accepted", "duplicate", "refused", "unavailable", "written", "confirmed", "receipts", "gaps",
	"window_full", "opened", "closed", "post_process", "route_errors", "dedupe_shortened",
}

// String returns the counter's name in snake case.
func (c Counter) String() string {
	if c < numCounters {
		return counterNames[c]
	}
	return "unknown"
}

// count adds n to counter, if it is anything.
func (c *Center) count(counter Counter, n int64) {
	if n != 0 {
		c.counters.Add(counter, n)
	}
}

type noCounters struct{}

func (noCounters) Add(Counter, int64) {}
