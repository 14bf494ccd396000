package bachata

import (
	"context"
	"time"
)

// IfUndelivered wraps route: call runs for each message and channel whose message nobody has confirmed after the given
// time, to push a notification or send a mail. Messages without an id can't be asked for and are left out. The wait is
// kept in memory, the message with it, and is lost when the process ends. The route's own post-processing runs too.
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
			c.queueFailed("check", err)
			return
		}
		c.queueAnswered("check")
		if !delivered {
			u.call(ctx, m, channel)
		}
	})
}
