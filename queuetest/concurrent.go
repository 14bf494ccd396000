package queuetest

import (
	"fmt"
	"strings"
	"sync"

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
		},
	}
}
