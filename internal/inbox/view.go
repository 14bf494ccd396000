package inbox

import (
	"context"
	"slices"

	"github.com/bachata-go/bachata"
)

// view is what find has found: it is safe with the ticket.
type view[R comparable] struct {
	found  []Found[R]
	list   []bachata.Envelope // of those, once they are read
	ticket uint64
	woken  *wakeups
}

// find looks into the inbox of channel. Messages and receipts are safe anyway, but a gap stands where something safe stood
// before.
func (e *Engine[R]) find(ctx context.Context, v *view[R], channel string, after bachata.Cursor, limit bachata.Limit) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	if err := e.expireToRead(ctx, channel); err != nil {
		e.leave()
		return err
	}
	e.advance()
	v.found = e.book.Fetch(v.found, channel, after, limit, e.visible)
	barrier := e.book.Barrier(channel)
	all := len(v.found) == 0 && barrier > e.backend.Synced()
	if all { // messages may be lost before they are safe: then nobody ever sees any, unless they are waited for
		v.found = e.book.Fetch(v.found, channel, after, limit, e.book.Last())
	}
	var err error
	if e.inside {
		err = e.read(v)
	}
	last, woken := e.leave()
	v.woken = woken
	switch {
	case all || woken != nil:
		v.ticket = last
	case slices.ContainsFunc(v.found, func(f Found[R]) bool { return f.Kind == bachata.KindGap }):
		v.ticket = barrier
	}
	return err
}

// read makes envelopes of what was found. An error is returned with what could be read before it.
func (e *Engine[R]) read(v *view[R]) error {
	if len(v.found) == 0 {
		return nil
	}
	v.list = make([]bachata.Envelope, len(v.found))
	for i := range v.found {
		if err := e.look(&v.found[i], &v.list[i]); err != nil {
			v.list = v.list[:i]
			return err
		}
	}
	return nil
}

// look makes an envelope of what was found.
func (e *Engine[R]) look(f *Found[R], env *bachata.Envelope) error {
	f.envelope(env)
	if f.Kind == bachata.KindGap {
		return nil
	}
	return e.backend.Read(f, env)
}
