package bachata

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// errorLog logs errors that may come with every message or connection, at most one a second of each kind: who is refused
// sends again, who is closed connects again, and the log may be on the very disk that is full.
type errorLog struct {
	failing atomic.Bool // a call of the queue has failed, and recovered was not said since
	mu      sync.Mutex
	kinds   map[string]*logged // nil until something fails
}

// logged is what is known of one kind.
type logged struct {
	said       time.Time // when one was logged last
	came       time.Time // when one came last
	suppressed int       // that came since, and were not logged
	queue      bool      // it is a call of the queue, which may recover
}

const errorLogEvery = time.Second

// write logs an error of a kind, unless one was logged just before.
func (l *errorLog) write(to *slog.Logger, kind, text string, args ...any) {
	if more, ok := l.next(kind, false, time.Now()); ok {
		to.Error(text, append(args, "suppressed", more)...)
	}
}

// failed logs that a call of the queue has failed, unless that was logged just before.
func (l *errorLog) failed(to *slog.Logger, call string, err error) {
	if more, ok := l.next(call, true, time.Now()); ok {
		to.Error("queue is unavailable", "call", call, "error", err, "suppressed", more)
	}
}

// next reports whether an error of a kind is to be logged, and how many before it were not.
func (l *errorLog) next(kind string, queue bool, now time.Time) (more int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.kinds[kind]
	if k == nil {
		if l.kinds == nil {
			l.kinds = make(map[string]*logged)
		}
		k = &logged{queue: queue}
		l.kinds[kind] = k
	} else if now.Sub(k.said) < errorLogEvery {
		k.came = now
		k.suppressed++
		return 0, false
	}
	more, k.suppressed = k.suppressed, 0
	k.said, k.came = now, now
	if queue {
		l.failing.Store(true)
	}
	return more, true
}

// answered is told that a call of the queue has succeeded, and logs that if it had failed before, though not within the
// last second: calls for another channel may fail still.
func (l *errorLog) answered(to *slog.Logger, call string) {
	if !l.failing.Load() {
		return
	}
	if more, ok := l.recovered(call, time.Now()); ok {
		to.Info("queue is available again", "call", call, "suppressed", more)
	}
}

// recovered reports whether that is to be logged, and how many errors of the call were not.
func (l *errorLog) recovered(call string, now time.Time) (more int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.kinds[call]
	if k == nil || now.Sub(k.came) < errorLogEvery {
		return 0, false
	}
	delete(l.kinds, call)
	failing := false
	for _, other := range l.kinds {
		failing = failing || other.queue
	}
	l.failing.Store(failing)
	return k.suppressed, true
}
