// Package wiretest plays the transcripts of testdata/wire over real connections: every queue's tests play them, so that a
// client can't tell one queue from another.
package wiretest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/transcript"
)

// Queue is a queue that its opener closes.
type Queue interface {
	bachata.Queue
	io.Closer
}

// Open opens a queue with an empty store of its own. It is called concurrently.
type Open func(t *testing.T, o bachata.QueueOptions) (Queue, error)

// Run plays every transcript in dir on each of the queues that has its mode, all at once,
// by each way of waiting for a connection.
func Run(t *testing.T, dir string, queues map[string]Open) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.wire"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts found in %s: %v", dir, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := transcript.Parse(string(text))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".wire"), func(t *testing.T) {
			t.Parallel()
			for _, mode := range s.Queues {
				for name, open := range queues {
					t.Run(name+"-"+mode, func(t *testing.T) {
						t.Parallel()
						play(t, s, mode, open, false)
					})
					t.Run(name+"-"+mode+"-portable", func(t *testing.T) {
						t.Parallel()
						play(t, s, mode, open, true)
					})
				}
			}
		})
	}
}

func play(t *testing.T, s *transcript.Script, mode string, open Open, portable bool) {
	o, queueOptions, err := options(s.Options)
	if err != nil {
		t.Fatal(err)
	}
	queueOptions.Simple = mode == "simple"
	queue, err := open(t, queueOptions)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := queue.Close(); err != nil {
			t.Errorf("close queue: %v", err)
		}
	}()
	c := bachata.NewCenter(queue, &o)
	addRoutes(t, c, s.Groups)
	handler := &bachata.Handler{Center: c, Authenticate: authenticate, Portable: portable}
	server := httptest.NewServer(handler)
	var acting sync.WaitGroup
	defer acting.Wait()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := c.Close(); err != nil {
			t.Errorf("close center: %v", err)
		}
		if err := handler.Shutdown(ctx); err != nil {
			t.Errorf("shut handler down: %v", err)
		}
		server.Close()
	}()
	err = transcript.Play(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), s, func(ctx context.Context, action string) error {
		if action == "shutdown" {
			// It ends when the clients have confirmed, which later steps say.
			acting.Go(func() {
				if err := c.Shutdown(context.WithoutCancel(ctx)); err != nil {
					t.Errorf("shut center down: %v", err)
				}
			})
			return nil
		}
		return act(ctx, c, action)
	})
	if err != nil {
		t.Error(err)
	}
}

// act does what a server step of a transcript says.
func act(ctx context.Context, c *bachata.Center, action string) error {
	verb, rest, _ := strings.Cut(action, " ")
	first, rest, _ := strings.Cut(rest, " ")
	switch verb {
	case "send":
		m, err := c.Decode([]byte(rest))
		if err != nil {
			return err
		}
		_, err = c.Send(ctx, m, first)
		return err
	case "close-user":
		code, err := strconv.ParseUint(rest, 10, 16)
		if err != nil {
			return err
		}
		if c.CloseUser(first, bachata.CloseCode(code), "by the server") == 0 {
			return fmt.Errorf("user %q has no session", first)
		}
		return nil
	}
	return fmt.Errorf("unknown action %q", action)
}

// authenticate believes what the query says.
func authenticate(r *http.Request) (bachata.Identity, error) {
	q := r.URL.Query()
	switch q.Get("deny") {
	case "401":
		return bachata.Identity{}, errors.New("who is this?")
	case "403":
		return bachata.Identity{}, bachata.ErrNotAllowed
	}
	return bachata.Identity{Channel: q.Get("channel"), From: q.Get("from"), User: q.Get("user")}, nil
}

// addRoutes adds the routes of testdata/wire/README.md.
func addRoutes(t *testing.T, c *bachata.Center, groups map[string][]string) {
	t.Helper()
	members := func(_ context.Context, group string, _ *bachata.Session) ([]string, error) {
		channels, ok := groups[group]
		if !ok {
			return nil, &bachata.Refusal{Code: "no_group", Reason: "there is no such group"}
		}
		return channels, nil
	}
	only := func(typ string, decide func(m *bachata.Message) (bachata.Decision, error)) bachata.Route {
		f := bachata.RouteFunc(func(_ context.Context, m *bachata.Message, _ *bachata.Session) (bachata.Decision, error) {
			if m.Type() != typ {
				return bachata.Pass(), nil
			}
			return decide(m)
		})
		return &f
	}
	toDest := func(m *bachata.Message) (bachata.Decision, error) { return bachata.To(m.Dest()), nil }
	for _, route := range []bachata.Route{
		bachata.Direct("direct", "fence"),
		bachata.Group(members, "group"),
		only("silent", func(m *bachata.Message) (bachata.Decision, error) {
			return bachata.To(m.Dest()).WithoutReceipt(), nil
		}),
		only("twice", toDest),
		only("twice", toDest),
		only("copy", toDest),
		only("copy", func(*bachata.Message) (bachata.Decision, error) { return bachata.To("carol"), nil }),
		only("stop", func(*bachata.Message) (bachata.Decision, error) { return bachata.Stop(), nil }),
		only("fail", func(*bachata.Message) (bachata.Decision, error) {
			return bachata.Decision{}, errors.New("the database at 10.0.0.7 is down")
		}),
		only("refuse", func(*bachata.Message) (bachata.Decision, error) {
			return bachata.Decision{}, &bachata.Refusal{Code: "too_late", Reason: "the shop is closed"}
		}),
	} {
		if err := c.AddRoute(route); err != nil {
			t.Fatal(err)
		}
	}
}

// options reads the option lines of a transcript.
func options(lines map[string]string) (bachata.Options, bachata.QueueOptions, error) {
	var o bachata.Options
	var q bachata.QueueOptions
	numbers := map[string]*int{
		"window-messages": &o.Window.Messages, "window-bytes": &o.Window.Bytes, "max-message": &o.MaxMessage,
		"inbox-messages": &q.InboxMessages, "inbox-bytes": &q.InboxBytes,
	}
	times := map[string]*time.Duration{
		"window-timeout": &o.WindowTimeout, "barrier-delay": &o.BarrierDelay, "inbox-age": &q.InboxAge,
		"sweep-every": &q.SweepEvery, "dedupe": &q.Dedupe,
	}
	switches := map[string]*bool{
		"close-on-window-timeout": &o.CloseOnWindowTimeout, "refuse-from": &o.RefuseFrom, "drop-oldest": &q.DropOldest,
	}
	for name, value := range lines {
		var err error
		switch {
		case numbers[name] != nil:
			*numbers[name], err = strconv.Atoi(value)
		case times[name] != nil:
			*times[name], err = time.ParseDuration(value)
		case switches[name] != nil:
			*switches[name], err = strconv.ParseBool(value)
		default:
			err = errors.New("there is no such option")
		}
		if err != nil {
			return o, q, fmt.Errorf("option %s %s: %w", name, value, err)
		}
	}
	return o, q, nil
}
