package queuetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/bachata-go/bachata"
)

// calls are the methods that work on the store, each with one call of it. They don't fail the test by themselves.
func (x *fixture) calls(ctx context.Context, id string) map[string]func() error {
	return map[string]func() error{
		"Put":            func() error { _, err := x.q.Put(ctx, []bachata.Item{message(id, "bob")}); return err },
		"Fetch":          func() error { _, err := x.q.Fetch(ctx, "bob", 0, bachata.Limit{}); return err },
		"PopDelivered":   func() error { _, err := x.q.PopDelivered(ctx, "bob", "bob", []bachata.Key{byID(id)}); return err },
		"CheckDelivered": func() error { _, err := x.q.CheckDelivered(ctx, "bob", byID(id)); return err },
	}
}

func lifecycleClauses() []clause {
	return []clause{
		{
			name: "close", mode: bothModes,
			text: "ErrQueueClosed is returned by every method of a queue after its Close; Close is safe to call twice",
			run: func(x *fixture) {
				x.stored(message("1", "bob"))
				stop := x.watch("bob", func(bachata.Wake) {})
				for range 2 {
					if err := x.q.Close(); err != nil {
						x.broken("Close returned %v", err)
					}
				}
				calls := x.calls(x.ctx, "2")
				calls["Watch"] = func() error { _, err := x.q.Watch("bob", func(bachata.Wake) {}); return err }
				for name, call := range calls {
					if err := call(); !errors.Is(err, bachata.ErrQueueClosed) {
						x.broken("%s after Close returned %v", name, err)
					}
				}
				stop()
				x.q.Info()
			},
		}, {
			name: "close/in flight", mode: bothModes,
			text: "calls that Close meets in flight return, and say so if they were not done",
			run: func(x *fixture) {
				var done atomic.Int64
				ended := make(chan error, 8)
				for g := range 8 {
					go func() {
						for i := 0; ; i++ {
							for name, call := range x.calls(x.ctx, fmt.Sprint(g, "-", i)) {
								err := call()
								switch {
								case errors.Is(err, bachata.ErrQueueClosed):
									ended <- nil
									return
								case err != nil && !errors.Is(err, bachata.ErrUnavailable):
									ended <- fmt.Errorf("%s: %w", name, err)
									return
								}
								done.Add(1)
							}
						}
					}()
				}
				x.later(func() string {
					if done.Load() < 400 {
						return "calls in 8 goroutines come to no end"
					}
					return ""
				})
				x.mustHold(x.q.Close(), "Close")
				limit := time.After(x.patience)
				for range 8 {
					select {
					case err := <-ended:
						if err != nil {
							x.broken("a call that met Close: %v", err)
						}
					case <-limit:
						x.Fatalf("contract broken: %s\n\ta call has not returned %v after Close", x.clause, x.patience)
					}
				}
			},
		}, {
			name: "context", mode: bothModes,
			text: "a context that ends makes a method return early; what it was doing is done or not done, but not half",
			run: func(x *fixture) {
				gone, cancel := context.WithCancel(x.ctx)
				cancel()
				for i := range 20 {
					for name, call := range x.calls(gone, fmt.Sprint(i)) {
						if err := call(); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, bachata.ErrUnavailable) {
							x.broken("%s with a context that was cancelled returned %v", name, err)
						}
					}
				}
				if x.mode == bachata.Reliable {
					x.afterCancelled()
				}
				x.fetch("bob")
				x.stored(message("last", "bob"))
			},
		}, {
			name: "fail/put", mode: bothModes, needs: needFail,
			text: "a failure after which nothing is known to be stored is ErrUnavailable, or Unavailable on the channel and for the later items of the call",
			run: func(x *fixture) {
				x.stored(message("before", "bob"))
				x.store.Fail()
				for range 3 {
					items := []bachata.Item{message("1", "bob", "eve"), message("2", "eve"), message("1", "bob", "eve"), message("3", "max")}
					res, err := x.q.Put(x.ctx, items)
					if err != nil {
						if !errors.Is(err, bachata.ErrUnavailable) {
							x.broken("Put returned %v, want ErrUnavailable", err)
						}
						continue
					}
					if c := misshapen(items, res); c != "" {
						x.broken("%s: %v", c, res)
					}
					for i, r := range res {
						for _, s := range r {
							if s != bachata.Unavailable {
								x.broken("nothing can be stored, item %d was answered %v", i, r)
							}
						}
					}
				}
			},
		}, {
			name: "fail/duplicate", mode: reliableMode, needs: needFail,
			text: "a duplicate of a put in flight waits for the same barrier: if that fails, none of them is accepted",
			run: func(x *fixture) {
				x.store.Fail()
				m := message("1", "bob")
				for _, s := range together(x, 8, func(int) (bachata.PutStatus, error) {
					res, err := x.q.Put(x.ctx, []bachata.Item{m})
					if errors.Is(err, bachata.ErrUnavailable) {
						return bachata.Unavailable, nil
					}
					if err != nil {
						return 0, err
					}
					return res[0][0], nil
				}) {
					if s != bachata.Unavailable {
						x.broken("nothing can be stored, a put was answered %v", s)
					}
				}
			},
		}, {
			name: "fail/pop", mode: reliableMode, needs: needFail,
			text: "a confirmation that cannot be stored is an error, and its receipt is shown to nobody",
			run: func(x *fixture) {
				x.stored(message("1", "bob"))
				x.store.Fail()
				_, err := x.q.PopDelivered(x.ctx, "bob", "bob", []bachata.Key{byID("1")})
				if !errors.Is(err, bachata.ErrUnavailable) {
					x.broken("PopDelivered returned %v, want ErrUnavailable", err)
				}
				if envs, err := x.q.Fetch(x.ctx, "anna", 0, bachata.Limit{}); err == nil && len(envs) != 0 {
					x.broken("the inbox of the sender shows %s", lines(describeAll(envs)))
				}
			},
		},
	}
}

// afterCancelled resends what was put with a context that had ended: each id is one message afterwards.
func (x *fixture) afterCancelled() {
	x.Helper()
	for i := range 20 {
		if s := x.put(message(fmt.Sprint(i), "bob"))[0][0]; s != bachata.Stored && s != bachata.Duplicate {
			x.broken("put again: %v, want stored or duplicate", s)
		}
	}
	seen := map[string]int{}
	for _, e := range x.fetch("bob") {
		seen[describe(e)]++
	}
	for _, e := range x.fetch("anna") { // what was popped in spite of its context has its receipt
		if e.Kind == bachata.KindReceipt {
			seen[e.ID.String()] = 1
		}
	}
	for i := range 20 {
		if n := seen[fmt.Sprintf("%q", fmt.Sprint(i))]; n != 1 {
			x.broken("message %d was put with a context that had ended, and again: %d copies", i, n)
		}
	}
}
