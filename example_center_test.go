package bachata_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

// The server's own messages go to channels directly. Nobody gets a receipt for them.
func ExampleCenter_Send() {
	queue := memory.New(nil)
	defer queue.Close()
	center := bachata.NewCenter(queue, nil)
	defer center.Close()

	m, err := bachata.MakeMessage(bachata.Draft{ID: bachata.StringID("n1"), Type: "notice", Data: "maintenance at noon"})
	if err != nil {
		fmt.Println(err)
	}
	result, err := center.Send(context.Background(), m, "anna", "bob")
	fmt.Println(result.Channels, result.Statuses, err)
	result, err = center.Send(context.Background(), m, "anna", "bob")
	fmt.Println(result.Dup, err)
	printInbox(queue, "bob")

	// Output:
	// [anna bob] [stored stored] <nil>
	// true <nil>
	// bob: {"id":"n1","type":"notice","data":"maintenance at noon"}
}

// Process takes a message of the server's own through the routes; what they refuse comes back as a *Refusal.
func ExampleCenter_Process() {
	queue := memory.New(nil)
	defer queue.Close()
	center := bachata.NewCenter(queue, nil)
	defer center.Close()
	if err := center.AddRoute(bachata.Direct("direct")); err != nil {
		fmt.Println(err)
	}

	m, err := bachata.MakeMessage(bachata.Draft{Type: "unknown", Dest: "bob"})
	if err != nil {
		fmt.Println(err)
	}
	_, err = center.Process(context.Background(), m)
	var refusal *bachata.Refusal
	if errors.As(err, &refusal) {
		fmt.Println(refusal.Code)
	}

	// Output:
	// no_route
}

// The default limits, written out.
func ExampleOptions() {
	queue := memory.New(&memory.Options{
		InboxMessages: 10_000,
		InboxBytes:    64 << 20,
		InboxAge:      30 * 24 * time.Hour,
		Dedupe:        time.Hour,
	})
	defer queue.Close()
	center := bachata.NewCenter(queue, &bachata.Options{
		Window:        bachata.Limit{Messages: 1_000, Bytes: 4 << 20},
		WindowTimeout: time.Minute,
		MaxMessage:    64 << 10,
	})
	defer center.Close()
	info := center.Queue().Info()
	fmt.Println(info.Name, info.Mode, info.Dedupe, info.Durable)

	// Output:
	// memory reliable 1h0m0s false
}

// Any metrics library can be plugged in.
func ExampleCounters() {
	counters := new(totals)
	queue := memory.New(nil)
	defer queue.Close()
	center := bachata.NewCenter(queue, &bachata.Options{Counters: counters})
	defer center.Close()
	m, err := bachata.MakeMessage(bachata.Draft{Type: "direct", Dest: "bob"})
	if err != nil {
		fmt.Println(err)
	}
	_, err = center.Process(context.Background(), m) // without a route
	fmt.Println(err)
	fmt.Println(bachata.CountRouteErrors, counters[bachata.CountRouteErrors].Load())

	// Output:
	// bachata: refused (no_route): no route takes this message
	// route_errors 0
}

// totals keeps one number for each counter.
type totals [64]atomic.Int64

func (t *totals) Add(c bachata.Counter, n int64) { t[c].Add(n) }

// Shutdown tells the clients to come back, takes their last confirmations, and ends.
func ExampleCenter_Shutdown() {
	queue := memory.New(nil)
	defer queue.Close()
	center := bachata.NewCenter(queue, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(center.Shutdown(ctx))

	m, err := bachata.MakeMessage(bachata.Draft{Type: "notice"})
	if err != nil {
		fmt.Println(err)
	}
	_, err = center.Send(ctx, m, "bob")
	fmt.Println(errors.Is(err, bachata.ErrClosing))

	// Output:
	// <nil>
	// true
}
