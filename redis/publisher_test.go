package redis

import (
	"runtime"
	"testing"
	"weak"
)

// What was published is let go also while there is always more that waits: else the bound of what waits is none of memory.
func TestPublishedIsLetGo(t *testing.T) {
	t.Parallel()
	p := newPublisher(nil)
	payload := make([]byte, 1<<10)
	held := weak.Make(&payload[0])
	var l *lane
	for range shownAtOnce + 1 {
		var err error
		if l, _, err = p.add(0, shown{"bob::wake", payload}); err != nil {
			t.Fatal(err)
		}
		payload = make([]byte, 1<<10)
	}
	if n := len(p.take(l)); n != shownAtOnce {
		t.Fatalf("%d are taken, want %d", n, shownAtOnce)
	}
	runtime.GC()
	if held.Value() != nil {
		t.Error("what was taken is still held")
	}
	runtime.KeepAlive(p)
}
