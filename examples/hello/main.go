// Command hello is a whole chat server: who connects to ws://127.0.0.1:8000/messages?channel=NAME has that inbox.
package main

import (
	"log"
	"net/http"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
)

func chat(queue bachata.Queue) (http.Handler, error) {
	center := bachata.NewCenter(queue, nil)
	return &bachata.Handler{Center: center, Authenticate: whoIs}, center.AddRoute(bachata.Direct())
}

func whoIs(r *http.Request) (bachata.Identity, error) {
	// Your session check goes here. This one believes everybody.
	return bachata.Identity{Channel: r.URL.Query().Get("channel")}, nil
}

func main() {
	queue, err := disk.Open("bachata-data", nil)
	if err != nil {
		log.Fatal(err)
	}
	handler, err := chat(queue)
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/messages", handler)
	log.Fatal(http.ListenAndServe("127.0.0.1:8000", nil))
}
