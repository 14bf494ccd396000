package disk_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
)

// What Put has accepted is there when the queue is opened again.
func Example() {
	dir, err := os.MkdirTemp("", "bachata-example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	q, err := disk.Open(dir, &disk.Options{SegmentBytes: 1 << 20})
	if err != nil {
		log.Fatal(err)
	}
	results, _ := q.Put(ctx, []bachata.Item{{Channels: []string{"bob"}, Dest: "bob", Payload: []byte("hi")}})
	fmt.Println(results[0], q.Info().Level)
	if err := q.Close(); err != nil {
		log.Fatal(err)
	}

	q, err = disk.Open(dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()
	inbox, _ := q.Fetch(ctx, "bob", 0, bachata.Limit{})
	fmt.Printf("%s\n", inbox[0].Payload)
	// Output:
	// [stored] synced to disk: survives kill -9 and power loss of this host
	// hi
}

// A check reads a queue that is not open, changes nothing, and names what is damaged.
func ExampleCheck() {
	dir, err := os.MkdirTemp("", "bachata-example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	q, err := disk.Open(dir, &disk.Options{SegmentBytes: 1 << 20})
	if err != nil {
		log.Fatal(err)
	}
	q.Put(context.Background(), []bachata.Item{{Channels: []string{"bob", "eve"}, Dest: "all", Payload: []byte("hi")}})
	q.Close()

	report, err := disk.Check(dir)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Messages, "pending,", len(report.Damage), "places are damaged")
	// Output: 2 pending, 0 places are damaged
}
