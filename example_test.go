package bachata_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/bachata-go/bachata"
)

// printInbox prints the messages that wait on channel.
func printInbox(queue bachata.Queue, channel string) {
	waiting, err := queue.Fetch(context.Background(), channel, 0, bachata.Limit{})
	if err != nil {
		fmt.Println(err)
	}
	for _, e := range waiting {
		fmt.Printf("%s: %s\n", channel, e.Payload)
	}
}

// printFirst connects to path of server and prints what comes first: a frame, or the close.
func printFirst(server *httptest.Server, path string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, buffered, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(server.URL, "http")+path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = conn.Close() }()
	var text []byte
	if buffered != nil { // what came right behind the handshake
		text, err = wsutil.ReadServerText(readWriter{buffered, conn})
	} else {
		text, err = wsutil.ReadServerText(conn)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(text))
}
