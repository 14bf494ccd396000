package bachata

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"unsafe"
)

// Result says what became of a message that the server made.
type Result struct {
	Channels []string  // the inboxes that it was put into
	Statuses PutResult // one for each of Channels
	Dup      bool      // accepted before
}

// decided is what the routes said of a message, all together.
type decided struct {
	message   *Message // that they were asked of: a copy, if they may keep it and it is not theirs
	channels  []string // each once, in the order in which they were named
	posts     []post
	noReceipt bool
}

// Process takes a message of the server's own through the routes and returns when the queue has stored it. Its "from"
// stays as it is, and nobody gets a receipt for it. It may block as long as its routes do. Its errors are those of Send, and those
// of the routes. m is not to be changed any more.
func (c *Center) Process(ctx context.Context, m *Message) (Result, error) {
	d, err := c.route(ctx, m, nil, nil)
	if err != nil {
		return Result{}, err
	}
	return c.store(ctx, m, d)
}

// Send puts a message of the server's own into the inboxes of channels, past the routes, and returns when the queue has
// stored it. Nobody gets a receipt for it. m is not to be changed any more; it may be sent again.
//
// A message with an id is known by that and its dest, as those of clients are: sent again, to other channels too, it is a
// duplicate (Result.Dup) and delivered to nobody else. Name all channels at once, or send without an id.
//
// A *Refusal says why it was not accepted: RefusedInboxFull if all of several inboxes are full (of some, Result says which).
// RefusedUnavailable, and an error that wraps ErrUnavailable, leave open whether it was stored: send the same id again.
// ErrClosing: the center is closed.
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
		Payload:   c.payload(m),
		NoReceipt: d.noReceipt,
	}
}

// payload returns the text of m as it goes out. Nobody changes it: it may be the text that m is made of.
func (c *Center) payload(m *Message) []byte {
	if _, ours := c.proto.(jsonProtocol); ours && m.asItCame() {
		return unsafe.Slice(unsafe.StringData(m.text), len(m.text))
	}
	return c.proto.AppendMessage(make([]byte, 0, len(m.text)+len(m.from)+16), m)
}

// route asks the routes in their order and collects what they say. Receipts are left out only if every route that
// delivers says so. b is the intake that m came with, nil if it is the server's own.
func (c *Center) route(ctx context.Context, m *Message, s *Session, b *intake) (decided, error) {
	d := decided{message: m, noReceipt: true}
	took := false
	for _, route := range *c.routes.Load() {
		var decision Decision
		var err error
		if r, ours := route.(*direct); ours { // which keeps nothing, and does nothing that could fail or wait
			decision = r.decide(m, b)
		} else {
			if b != nil {
				m = b.keep(m)
				d.message = m
			}
			decision, err = c.ask(ctx, route, m, s, b)
		}
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
		if err := d.add(route, decision); err != nil {
			return decided{}, err
		}
	}
	if !took {
		return decided{}, &Refusal{Code: RefusedNoRoute, Reason: "no route takes this message", ID: m.id}
	}
	d.channels = unique(d.channels)
	return d, nil
}

// add adds what route said.
func (d *decided) add(route Route, decision Decision) error {
	processor, isPost := route.(PostProcessor)
	for _, channel := range decision.channels {
		if err := CheckName("channel", channel); err != nil {
			return fmt.Errorf("route %T: %w", route, err)
		}
	}
	if isPost {
		for _, channel := range unique(decision.channels) {
			d.posts = append(d.posts, post{processor: processor, channel: channel})
		}
	}
	if d.channels == nil {
		d.channels = slices.Clip(decision.channels) // appending copies: it is the route's
	} else {
		d.channels = append(d.channels, decision.channels...)
	}
	d.noReceipt = d.noReceipt && decision.noReceipt
	return nil
}

func (c *Center) ask(ctx context.Context, route Route, m *Message, s *Session, b *intake) (d Decision, err error) {
	var inHook *atomic.Bool
	if b != nil {
		inHook = b.inHook
	}
	defer c.caught(inHook, &err)
	enterHook(inHook)
	return route.Process(ctx, m, s)
}

// errPanic stands for a panic of the application's code; what it was is logged.
var errPanic = errors.New("bachata: panic in a route, a hook or a job")

// guard runs the application's code: its panic ends one message, not the server.
func (c *Center) guard(run func() error) (err error) {
	defer c.caught(nil, &err)
	return run()
}

// enterHook notes in inHook, if there is one, that the application's code runs, until caught.
func enterHook(inHook *atomic.Bool) {
	if inHook != nil {
		inHook.Store(true)
	}
}

// caught is deferred where the application's code runs: it makes a panic an error.
func (c *Center) caught(inHook *atomic.Bool, err *error) {
	if p := recover(); p != nil {
		c.errors.write(c.log, "panic", fmt.Sprint(p), "panic in a route, a hook or a job", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		*err = errPanic
	}
	if inHook != nil {
		inHook.Store(false)
	}
}

// publish shows payload to the sockets that are connected to channels now, and stores nothing.
func (c *Center) publish(channels []string, payload []byte) {
	p, everywhere := c.queue.(Publisher)
	for _, channel := range channels {
		if everywhere {
			if err := p.Publish(c.ctx, channel, payload); err != nil {
				c.queueFailed("publish", err)
			} else {
				c.queueAnswered("publish")
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
