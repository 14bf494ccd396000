package bachata

import "context"

// A Route decides where a message goes. The center asks its routes one after the other, in the order in which they
// were added, and collects what they say.
//
// Process is called concurrently for different sessions, and for the messages of one session one after the other; it
// may block, which holds up its session only. s is nil for messages made by the server.
// An error ends the chain and refuses the message: a *Refusal is told to the client, of any other it learns only that
// there was one.
type Route interface {
	Process(ctx context.Context, m *Message, s *Session) (Decision, error)
}

// RouteFunc makes a Route of a function. Add it by pointer to be able to remove it.
type RouteFunc func(ctx context.Context, m *Message, s *Session) (Decision, error)

// Process calls f.
func (f RouteFunc) Process(ctx context.Context, m *Message, s *Session) (Decision, error) {
	return f(ctx, m, s)
}

// A PostProcessor is a Route that also wants to act after the put: send a push notification if nobody confirmed,
// send an extra message. Optional.
//
// PostProcess is called once for each channel that the route named, in a bounded pool of the center; Close waits for
// it. When the pool is full, the sessions wait for a place. ctx ends when the center closes.
type PostProcessor interface {
	PostProcess(ctx context.Context, c *Center, m *Message, channel string)
}

// Decision is what a route says of a message. The zero Decision passes: not mine, ask the next.
type Decision struct {
	kind      decisionKind
	channels  []string
	noReceipt bool
}

type decisionKind uint8

const (
	decisionPass decisionKind = iota
	decisionDeliver
	decisionStop
)

// Pass leaves the message to the next route.
func Pass() Decision { return Decision{} }

// To delivers the message to channels and goes on with the next route. To without channels takes the message, so that
// it is accepted, and delivers it to nobody.
func To(channels ...string) Decision { return Decision{kind: decisionDeliver, channels: channels} }

// Stop ends the chain: the route has handled the message. What earlier routes named is still delivered to.
func Stop() Decision { return Decision{kind: decisionStop} }

// WithoutReceipt says that nobody's confirmation of this message is reported to its sender.
func (d Decision) WithoutReceipt() Decision {
	d.noReceipt = true
	return d
}
