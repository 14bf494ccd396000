package bachata

import (
	"context"
	"slices"
)

// Direct returns the route for messages whose dest is a channel. It takes messages of the given types (none: of any
// type) and passes those without a dest. Beside other routes give it types: without, it takes their messages too.
func Direct(types ...string) Route { return &direct{types: types} }

type direct struct{ types []string }

// Process implements Route.
func (d *direct) Process(_ context.Context, m *Message, _ *Session) (Decision, error) {
	return d.decide(m, nil), nil
}

// decide is Process. What came with an intake makes no list of its own.
func (d *direct) decide(m *Message, b *intake) Decision {
	switch {
	case m.dest == "" || !takes(d.types, m.typ):
		return Pass()
	case b != nil:
		return Decision{kind: decisionDeliver, channels: b.only(m.dest)}
	}
	return To(m.dest)
}

func takes(types []string, typ string) bool {
	return len(types) == 0 || slices.Contains(types, typ)
}
