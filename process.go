package bachata

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
)

// Result says what became of a message that the server made.
type Result struct {
	Channels []string  // the inboxes that it was put into
	Statuses PutResult // one for each of Channels
	Dup      bool      // accepted before
}

// decided is what the routes said of a message, all together.
type decided struct {
	channels  []string // each once, in the order in which they were named
	posts     []post
	noReceipt bool
}

// Process takes a message of the server's own through the routes and returns when the queue has stored it. Its "from"
// stays as it is, and nobody gets a receipt for it. A *Refusal says why it was not accepted. It may block as long as
// its routes do.
func (c *Center) Process(ctx context.Context, m *Message) (Result, error) {
	d, err := c.route(ctx, m, nil, nil)
	if err != nil {
		return Result{}, err
	}
	return c.store(ctx, m, d)
}

// Send puts a message of the server's own into the inboxes of channels, past the routes, and returns when the queue has
// stored it. Nobody gets a receipt for it. A *Refusal says why it was not accepted.
func (c *Center) Send(ctx context.Context, m *Message, channels ...string) (Result, error) {
	d := decided{channels: slices.Clone(channels)}
	for _, channel := range channels {
		if err := CheckName("channel", channel); err != nil {
			return Result{}, fmt.Errorf("send: %w", err)
		}
	}
	d.channels = unique(d.channels)
	return c.store(ctx, m, d)
}

// Decode reads a message of the server's own from text.
func (c *Center) Decode(text []byte) (*Message, error) {
	var f Frame
	if err := c.proto.Decode(text, &f); err != nil {
		return nil, err
	}
	if f.IsTransport() {
		return nil, &Refusal{Code: RefusedType, Reason: "a transport message is none of the server's own"}
	}
	return &f.Message, nil
}

func (c *Center) store(ctx context.Context, m *Message, d decided) (Result, error) {
	if c.ctx.Err() != nil {
		return Result{}, ErrClosing
	}
	if m.ephemeral {
		c.publish(d.channels, c.proto.AppendMessage(nil, m))
		return Result{Channels: d.channels}, nil
	}
	if len(d.channels) == 0 {
		return Result{}, nil
	}
	items := []Item{c.item(m, d)}
	by := &cause{Context: ctx, center: c}
	results, err := c.queue.Put(by, items)
	for part := range slices.Chunk(by.woken, wokenAlone) {
		c.serve(part)
	}
	if err != nil {
		return Result{}, fmt.Errorf("put message: %w", err)
	}
	if len(results) != 1 || len(results[0]) != len(d.channels) {
		return Result{}, fmt.Errorf("put message: %w: the queue answered for %d items of 1", ErrUnavailable, len(results))
	}
	result := Result{Channels: d.channels, Statuses: results[0]}
	if result.Dup, err = judge(results[0]); err != nil {
		return result, err
	}
	c.postProcess(routed{message: m, posts: d.posts}, d.channels, results[0])
	return result, nil
}

// item makes the queue's item of a routed message.
func (c *Center) item(m *Message, d decided) Item {
	return Item{
		Channels:  d.channels,
		ID:        m.id,
		From:      m.from,
		Dest:      m.dest,
		Payload:   c.proto.AppendMessage(make([]byte, 0, len(m.text)+len(m.from)+16), m),
		NoReceipt: d.noReceipt,
	}
}

// route asks the routes in their order and collects what they say. Receipts are left out only if every route that
// delivers says so.
func (c *Center) route(ctx context.Context, m *Message, s *Session, inHook *atomic.Bool) (decided, error) {
	var d decided
	took, wantReceipt := false, false
	for _, route := range *c.routes.Load() {
		decision, err := c.ask(ctx, route, m, s, inHook)
		if err != nil {
			return decided{}, err
		}
		if decision.kind == decisionPass {
			continue
		}
		took = true
		if decision.kind == decisionStop {
			break
		}
		processor, isPost := route.(PostProcessor)
		for _, channel := range decision.channels {
			if err := CheckName("channel", channel); err != nil {
				return decided{}, fmt.Errorf("route %T: %w", route, err)
			}
			if isPost {
				d.posts = append(d.posts, post{processor: processor, channel: channel})
			}
		}
		if d.channels == nil {
			d.channels = slices.Clip(decision.channels) // appending copies: it is the route's
		} else {
			d.channels = append(d.channels, decision.channels...)
		}
		wantReceipt = wantReceipt || !decision.noReceipt
	}
	if !took {
		return decided{}, &Refusal{Code: RefusedNoRoute, Reason: "no route takes this message", ID: m.id}
	}
	d.channels = unique(d.channels)
	d.noReceipt = !wantReceipt
	return d, nil
}

func (c *Center) ask(ctx context.Context, route Route, m *Message, s *Session, inHook *atomic.Bool) (d Decision, err error) {
	if _, ours := route.(*direct); ours {
		inHook = nil // it never waits
	}
	err = c.guard(inHook, func() (err error) {
		d, err = route.Process(ctx, m, s)
		return err
	})
	return d, err
}

// errPanic stands for a panic of the application's code; what it was is logged.
var errPanic = errors.New("bachata: panic in a route or a hook")

// guard runs the application's code: its panic ends one message, not the server. inHook, if it is not nil, is set
// meanwhile.
func (c *Center) guard(inHook *atomic.Bool, run func() error) (err error) {
	if inHook != nil {
		inHook.Store(true)
		defer inHook.Store(false)
	}
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("panic in a route or a hook", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return run()
}

// publish shows payload to the sockets that are connected to channels now, and stores nothing.
func (c *Center) publish(channels []string, payload []byte) {
	p, everywhere := c.queue.(Publisher)
	for _, channel := range channels {
		if everywhere {
			if err := p.Publish(c.ctx, channel, payload); err != nil {
				c.logQueueError("publish", err)
			}
		} else if h := c.hubOf(channel); h != nil {
			h.show(payload)
		}
	}
}

// unique returns names without repeats, in their order: names itself if there are none.
func unique(names []string) []string {
	if len(names) < 2 {
		return names
	}
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		seen[name] = true
	}
	if len(seen) == len(names) {
		return names
	}
	once := make([]string, 0, len(seen))
	for _, name := range names {
		if seen[name] {
			once = append(once, name)
			seen[name] = false
		}
	}
	return once
}
