//go:build linux

// Command centrifuge is the peer that stands beside in the comparison: centrifuge with its memory engine and without
// history, so nothing that it takes is stored. It is started by the comparison, not by hand.
//
// It is tuned as its documentation says. Everything that a client's queue holds goes out in one frame
// (MaxMessagesInFrame), buffers for writing come from a pool, the channels of a client are subscribed by the server, so
// that a client sends one command less, and WriteDelay stays off: with it, less is written, but one message at a time
// would wait for it. BENCH_CENTRIFUGE_DELAY sets it, to see that.
package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" // a profile may be taken while it runs
	"os"
	"time"

	"github.com/centrifugal/centrifuge"

	"github.com/bachata-go/bachata/bench/internal/proc"
	"github.com/bachata-go/bachata/bench/internal/wire"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "centrifuge:", err)
		os.Exit(1)
	}
}

func run() error {
	if _, ok, err := proc.Child(); !ok || err != nil {
		return fmt.Errorf("not started by the comparison: %w", err)
	}
	if _, err := proc.RaiseFiles(); err != nil {
		return err
	}
	delay, _ := time.ParseDuration(os.Getenv("BENCH_CENTRIFUGE_DELAY"))
	node, err := centrifuge.New(centrifuge.Config{ClientQueueMaxSize: 8 << 20})
	if err != nil {
		return err
	}
	node.OnConnecting(func(ctx context.Context, _ centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		credentials, _ := centrifuge.GetCredentials(ctx)
		channel := credentials.UserID
		if channel[0] == 'r' {
			channel = wire.GroupName
		}
		return centrifuge.ConnectReply{
			Subscriptions:      map[string]centrifuge.SubscribeOptions{channel: {}},
			MaxMessagesInFrame: -1,
			WriteDelay:         delay,
		}, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		// Who has sent it is told with each message, as ours does.
		client.OnPublish(func(e centrifuge.PublishEvent, done centrifuge.PublishCallback) {
			done(centrifuge.PublishReply{Options: centrifuge.PublishOptions{ClientInfo: e.ClientInfo}}, nil)
		})
		// A confirmation: the sender's channel, and the id of its message.
		client.OnMessage(func(e centrifuge.MessageEvent) {
			text := bytes.Trim(e.Data, `"`)
			if len(text) != wire.NameLen+wire.IDDigits {
				return
			}
			to, id := string(text[:wire.NameLen]), text[wire.NameLen:]
			receipt := fmt.Appendf(nil, `{"type":300,"data":"%s","from":"%s"}`, id, client.UserID())
			_, _ = node.Publish(to, receipt)
		})
	})
	if err := node.Run(); err != nil {
		return err
	}
	ws := centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		CheckOrigin:        func(*http.Request) bool { return true },
		UseWriteBufferPool: true,
	})
	http.HandleFunc("/messages", func(w http.ResponseWriter, r *http.Request) {
		who := &centrifuge.Credentials{UserID: r.URL.Query().Get("channel")}
		ws.ServeHTTP(w, r.WithContext(centrifuge.SetCredentials(r.Context(), who)))
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	proc.Ready(l.Addr().String(), nil)
	return http.Serve(l, nil)
}
