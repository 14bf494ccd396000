package bachata

import (
	"context"
	"slices"
)

// Direct returns the route for messages whose dest is a channel. It takes messages of the given types (none: of any
// type) and passes those without a dest.
func Direct(types ...string) Route { return &direct{types: types} }

type direct struct{ types []string }

// Process implements Route.
func (d *direct) Process(_ context.Context, m *Message, _ *Session) (Decision, error) {
	if m.Dest() == "" || !takes(d.types, m.Type()) {
		return Pass(), nil
	}
	return To(m.Dest()), nil
}

func takes(types []string, typ string) bool {
	return len(types) == 0 || slices.Contains(types, typ)
}
