package bachata

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestWindowModel holds the window against a plain list.
func TestWindowModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var w window
		type entry struct {
			cursor Cursor
			id     uint64
			gone   bool
		}
		var model []entry
		next := Cursor(1)
		for range 300 {
			switch rng.IntN(5) {
			case 0, 1:
				id := uint64(1 + rng.IntN(4))
				w.add(written{cursor: next, id: id, size: 2})
				model = append(model, entry{cursor: next, id: id})
				next += Cursor(1 + rng.IntN(3))
			case 2: // a 200
				id := uint64(1 + rng.IntN(4))
				i := slices.IndexFunc(model, func(e entry) bool { return e.id == id })
				e := w.match(id, 0, 0)
				if (i >= 0) != (e != nil) || e != nil && e.cursor != model[i].cursor {
					t.Fatalf("seed %d: match(%d) = %v, want entry %d of %v", seed, id, e, i, model)
				}
				if e != nil {
					w.remove(e)
					model = slices.Delete(model, i, i+1)
				}
			case 3: // by cursor
				if len(model) == 0 {
					continue
				}
				i := rng.IntN(len(model))
				e := w.at(model[i].cursor)
				if e == nil || e.id != model[i].id {
					t.Fatalf("seed %d: at(%d) = %v, want %v", seed, model[i].cursor, e, model[i])
				}
				w.remove(e)
				model = slices.Delete(model, i, i+1)
			case 4: // confirmed elsewhere, at most 3 of which are remembered
				if len(model) == 0 {
					continue
				}
				i := rng.IntN(len(model))
				if model[i].gone {
					continue
				}
				w.leave(w.at(model[i].cursor), 3)
				model[i].gone = true
				left := 0
				for _, e := range model {
					if e.gone {
						left++
					}
				}
				if left > 3 {
					i := slices.IndexFunc(model, func(e entry) bool { return e.gone })
					model = slices.Delete(model, i, i+1)
				}
			}
			outstanding := 0
			for _, e := range model {
				if !e.gone {
					outstanding++
				}
			}
			if w.messages != outstanding || w.bytes != 2*outstanding {
				t.Fatalf("seed %d: %d messages of %d bytes outstanding, want %d", seed, w.messages, w.bytes, outstanding)
			}
			if len(w.entries) > 4*len(model)+4 {
				t.Fatalf("seed %d: %d entries for %d that are kept", seed, len(w.entries), len(model))
			}
		}
	}
}
