package memory_test

import (
	"context"
	"fmt"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

// A message is put, read, confirmed, and its sender has a receipt.
func Example() {
	q := memory.New(nil)
	defer q.Close()
	ctx := context.Background()

	results, _ := q.Put(ctx, []bachata.Item{{
		Channels: []string{"bob"}, ID: bachata.StringID("1"), Origin: "anna", From: "anna", Dest: "bob", Payload: []byte("hi"),
	}})
	fmt.Println(results[0])

	inbox, _ := q.Fetch(ctx, "bob", 0, bachata.Limit{})
	fmt.Printf("%s from %s\n", inbox[0].Payload, inbox[0].From)

	q.PopDelivered(ctx, "bob", "bob", []bachata.Key{{Cursor: inbox[0].Cursor}})
	receipts, _ := q.Fetch(ctx, "anna", 0, bachata.Limit{})
	fmt.Println("delivered", receipts[0].ID, "to", receipts[0].From)
	// Output:
	// [stored]
	// hi from anna
	// delivered "1" to bob
}
