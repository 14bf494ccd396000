package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/bachata-go/bachata/memory"
)

// Two people talk: each line is a frame that one of them is sent.
func Example_server() {
	queue := memory.New(nil)
	defer queue.Close()
	handler, err := chat(queue)
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	anna, bob := connect(server, "anna"), connect(server, "bob")
	defer anna.Close()
	defer bob.Close()

	anna.send(`{"id":"m1","type":"direct","dest":"bob","data":{"text":"hi"}}`)
	anna.show() // accepted
	bob.show()
	bob.send(`{"type":200,"data":"m1"}`)
	anna.show() // delivered

	// Output:
	// anna: {"type":1000,"dedupe":3600000,"max":65536,"from":"anna"}
	// bob: {"type":1000,"dedupe":3600000,"max":65536,"from":"bob"}
	// anna: {"type":100,"data":"m1"}
	// bob: {"id":"m1","type":"direct","dest":"bob","data":{"text":"hi"},"from":"anna"}
	// anna: {"type":300,"data":"m1","from":"bob","dest":"bob","time":0}
}

type client struct {
	io.ReadWriteCloser
	name string
}

// connect opens a WebSocket for name and shows the first frame.
func connect(server *httptest.Server, name string) client {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, buffered, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(server.URL, "http")+"/messages?channel="+name)
	if err != nil {
		panic(err)
	}
	c := client{ReadWriteCloser: conn, name: name}
	if buffered != nil { // what came right behind the handshake
		c.ReadWriteCloser = struct {
			io.Reader
			io.WriteCloser
		}{buffered, conn}
	}
	c.show()
	return c
}

func (c client) send(text string) {
	if err := wsutil.WriteClientText(c, []byte(text)); err != nil {
		panic(err)
	}
}

// show prints the next frame; the time of a receipt, which is another one each time, as 0.
func (c client) show() {
	text, err := wsutil.ReadServerText(c)
	if err != nil {
		panic(err)
	}
	var receipt struct {
		Time json.Number `json:"time"`
	}
	if err := json.Unmarshal(text, &receipt); err == nil && receipt.Time != "" {
		text = bytes.Replace(text, []byte(receipt.Time), []byte("0"), 1)
	}
	fmt.Printf("%s: %s\n", c.name, text)
}

// TestReadme keeps the server in the README the one that is tested here.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(readme, append(append([]byte("```go\n"), source...), "```\n"...)) {
		t.Error("README.md does not show examples/hello/main.go as it is")
	}
}
