package queuetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/bachata-go/bachata"
)

// together calls do n times at the same time and returns what the calls returned. An error fails the test.
func together[T any](x *fixture, n int, do func(i int) (T, error)) []T {
	x.Helper()
	results, errs := make([]T, n), make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			results[i], errs[i] = do(i)
		})
	}
	close(start)
	wg.Wait()
	for _, err := range errs {
		x.mustHold(err, "one of the calls in flight")
	}
	return results
}

func concurrentClauses() []clause {
	return []clause{
		{
			name: "concurrent/senders", mode: bothModes,
			text: "all methods may be called concurrently; the messages of each sender keep their order",
			run: func(x *fixture) {
				const senders, each = 16, 60
				together(x, senders, func(g int) (struct{}, error) {
					for i := range each / 2 {
						one := messageFrom(fmt.Sprint("s", g), fmt.Sprint(2*i), "bob", "eve")
						two := messageFrom(fmt.Sprint("s", g), fmt.Sprint(2*i+1), "bob")
						if _, err := x.q.Put(x.ctx, []bachata.Item{one, two}); err != nil {
							return struct{}{}, err
						}
					}
					return struct{}{}, nil
				})
				next := map[string]int{}
				for _, e := range x.fetch("bob") {
					text := string(e.Payload)
					for g := range senders {
						from := fmt.Sprint("s", g)
						if strings.Contains(text, `"from `+from+`"`) {
							if !strings.Contains(text, fmt.Sprintf(`"id":"%d"`, next[from])) {
								x.broken("of sender %s number %d is next, read %s", from, next[from], text)
								return
							}
							next[from]++
						}
					}
				}
				for from, n := range next {
					if n != each {
						x.broken("sender %s put %d messages, %d were read", from, each, n)
					}
				}
				if n := len(x.fetch("eve")); n != senders*each/2 {
					x.broken("%d messages were put, %d are in the inbox", senders*each/2, n)
				}
			},
		}, {
			name: "concurrent/cycle", mode: reliableMode,
			text: "all methods may be called concurrently: each message reaches each of its channels once, and each confirmation its sender once",
			run:  func(x *fixture) { newTraffic(x).run() },
		}, {
			name: "concurrent/fetch among drops", mode: bothModes, options: bachata.QueueOptions{InboxMessages: 5, DropOldest: true},
			text: "Fetch reads while others put: an inbox that loses messages all the time can be read, and its gaps",
			run:  fetchAmongDrops,
		},
	}
}

// fetchAmongDrops reads an inbox while many put into it, far more than it holds.
func fetchAmongDrops(x *fixture) {
	const senders, fetches = 16, 20
	ctx, cancel := context.WithTimeout(x.ctx, x.patience)
	defer cancel()
	var done atomic.Bool
	var wg sync.WaitGroup
	for g := range senders {
		wg.Go(func() {
			for i := 0; !done.Load(); i++ {
				m := messageFrom(fmt.Sprint("s", g), fmt.Sprint(i), "bob")
				m.NoReceipt = true
				if _, err := x.q.Put(ctx, []bachata.Item{m}); err != nil {
					return // the time is up
				}
			}
		})
	}
	for n := 0; n < fetches; {
		envs, err := x.q.Fetch(ctx, "bob", 0, bachata.Limit{})
		if err != nil {
			x.broken("Fetch while %d senders put, after %d that read something: %v", senders, n, err)
			break
		}
		if len(envs) > 0 {
			n++
		}
		if err := ctx.Err(); err != nil {
			x.broken("%d Fetch read something in %v, while %d senders put", n, x.patience, senders)
			break
		}
	}
	done.Store(true)
	wg.Wait()
}
