package inbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
)

// callHandler calls a function for each record that is logged.
type callHandler struct {
	slog.Handler
	call func()
}

func (h callHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h callHandler) Handle(context.Context, slog.Record) error {
	h.call()
	return nil
}

// TestLogsWithoutTheLock has a logger that looks at the queue, as one that writes to a slow place would wait. If the lock
// were held the test would never end.
func TestLogsWithoutTheLock(t *testing.T) {
	t.Parallel()
	var e *inbox.Engine[int]
	logged := 0
	handler := callHandler{slog.DiscardHandler, func() {
		logged++
		e.With(func(*inbox.Book[int]) {})
	}}
	e, err := newEngine(bachata.QueueOptions{DedupeCap: 16, Logger: slog.New(handler)}, &slowStore{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		id := fmt.Sprint(i)
		item := bachata.Item{Channels: []string{"bob"}, ID: bachata.StringID(id), Dest: "bob", Payload: []byte("x")}
		if _, err := e.Put(t.Context(), []bachata.Item{item}); err != nil {
			t.Fatal(err)
		}
		if _, err := e.PopDelivered(t.Context(), "bob", "bob", []bachata.Key{{ID: id}}); err != nil {
			t.Fatal(err)
		}
	}
	if logged == 0 {
		t.Error("nothing was logged of the shortened window")
	}
}
