package bachata

import (
	"context"
	"slices"
)

// Members gives the channels of the members of a group, for a message of s (nil: of the server). An error refuses the
// message; a *Refusal says why (not a member, no such group). It is called concurrently and may block.
type Members func(ctx context.Context, group string, s *Session) ([]string, error)

// Group returns the route for messages whose dest names a group. It takes messages of the given types (none: of any
// type), passes those without a dest, and leaves the sender's own channel out. A group without other members takes
// the message and delivers it to nobody.
func Group(members Members, types ...string) *GroupRoute {
	return &GroupRoute{members: members, types: types}
}

// GroupRoute is what Group returns.
type GroupRoute struct {
	// ToSender delivers a message to its sender's own channel too, if that is a member's.
	ToSender bool

	members Members
	types   []string
}

// Process implements Route.
func (g *GroupRoute) Process(ctx context.Context, m *Message, s *Session) (Decision, error) {
	if m.Dest() == "" || !takes(g.types, m.Type()) {
		return Pass(), nil
	}
	channels, err := g.members(ctx, m.Dest(), s)
	if err != nil {
		return Decision{}, err
	}
	if s != nil && !g.ToSender {
		own := s.Identity().Channel
		channels = slices.DeleteFunc(slices.Clone(channels), func(c string) bool { return c == own })
	}
	return To(channels...), nil
}
