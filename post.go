package bachata

import (
	"context"
	"time"
)

// post is a post-processing that waits for the put.
type post struct {
	processor PostProcessor
	channel   string
}

func newPost(p PostProcessor, channel string) post { return post{processor: p, channel: channel} }

// postProcess runs the post-processing of a message for each channel that stored it just now. It waits for a place in
// the pool.
func (c *Center) postProcess(r routed, channels []string, result PutResult) {
	for _, p := range r.posts {
		if statusOf(p.channel, channels, result) != Stored {
			continue
		}
		select {
		case c.posts <- struct{}{}:
		case <-c.ctx.Done():
			return
		}
		if !c.enter() {
			<-c.posts
			return
		}
		go func() {
			defer c.leave()
			defer func() { <-c.posts }()
			c.counters.Add(CountPostProcess, 1)
			_ = c.guard(func() error {
				p.processor.PostProcess(c.ctx, c, r.message, p.channel)
				return nil
			})
		}()
	}
}

func statusOf(channel string, channels []string, result PutResult) PutStatus {
	for i, name := range channels {
		if name == channel {
			return result[i]
		}
	}
	return Unavailable
}

// IfUndelivered wraps route: call runs for each message and channel whose message nobody has confirmed after the given
// time, to push a notification or send a mail. Messages without an id can't be asked for and are left out. The wait is
// kept in memory and is lost when the process ends. The route's own post-processing runs too.
func IfUndelivered(route Route, after time.Duration, call func(ctx context.Context, m *Message, channel string)) Route {
	return &undelivered{Route: route, after: after, call: call}
}

type undelivered struct {
	Route
	after time.Duration
	call  func(ctx context.Context, m *Message, channel string)
}

// PostProcess implements PostProcessor.
func (u *undelivered) PostProcess(ctx context.Context, c *Center, m *Message, channel string) {
	if inner, ok := u.Route.(PostProcessor); ok {
		inner.PostProcess(ctx, c, m, channel)
	}
	if m.ID().IsZero() {
		return // nobody can say of such a message whether it still waits
	}
	c.After(u.after, func(ctx context.Context) {
		key := Key{ID: m.ID().Text, From: m.From(), Dest: m.Dest()}
		delivered, err := c.queue.CheckDelivered(ctx, channel, key)
		if err != nil {
			c.logQueueError("check", err)
			return
		}
		if !delivered {
			_ = c.guard(func() error { u.call(ctx, m, channel); return nil })
		}
	})
}
