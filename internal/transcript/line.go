package transcript

import (
	"context"
	"errors"
	"sync"
)

// line is a queue without a bound, so that put never blocks. One goroutine takes, any may put.
type line[T any] struct {
	change chan struct{} // one place: something was put, or the line was closed

	mu      sync.Mutex
	items   []T
	closed  bool
	pending int           // what was put and is not dealt with: done
	idle    chan struct{} // closed when pending gets 0; nil if nobody waits for that
}

var errEnded = errors.New("the connection has ended")

func newLine[T any]() *line[T] { return &line[T]{change: make(chan struct{}, 1)} }

func (l *line[T]) put(item T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.items = append(l.items, item)
		l.pending++
		l.signal()
	}
}

// close lets take return what was put before, and then errEnded.
func (l *line[T]) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.signal()
}

func (l *line[T]) signal() {
	select {
	case l.change <- struct{}{}:
	default:
	}
}

// take returns the first item when there is one.
func (l *line[T]) take(ctx context.Context) (T, error) {
	for {
		l.mu.Lock()
		if len(l.items) > 0 {
			item := l.items[0]
			l.items = l.items[1:]
			l.mu.Unlock()
			return item, nil
		}
		closed := l.closed
		l.mu.Unlock()
		var none T
		if closed {
			return none, errEnded
		}
		select {
		case <-l.change:
		case <-ctx.Done():
			return none, ctx.Err()
		}
	}
}

// done says that what was taken is dealt with.
func (l *line[T]) done() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending--
	if l.pending == 0 && l.idle != nil {
		close(l.idle)
		l.idle = nil
	}
}

// drained waits until everything that was put is dealt with.
func (l *line[T]) drained(ctx context.Context) error {
	l.mu.Lock()
	if l.pending == 0 {
		l.mu.Unlock()
		return nil
	}
	if l.idle == nil {
		l.idle = make(chan struct{})
	}
	idle := l.idle
	l.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
