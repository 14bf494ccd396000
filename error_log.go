package bachata

import (
	"log/slog"
	"sync"
	"time"
)

// queueLog logs the errors of a queue, at most one a second of each verb: who is refused sends again, and the log may be
// on the very disk that is full.
type queueLog struct {
	mu    sync.Mutex
	verbs map[string]*unlogged // nil until something fails
}

// unlogged counts the errors of a verb since the last that was logged.
type unlogged struct {
	since time.Time
	count int
}

const queueLogEvery = time.Second

func (l *queueLog) write(to *slog.Logger, verb string, err error) {
	if more, ok := l.next(verb, time.Now()); ok {
		to.Error("queue is unavailable", "verb", verb, "error", err, "unlogged", more)
	}
}

// next reports whether an error of verb is to be logged, and how many before it were not.
func (l *queueLog) next(verb string, now time.Time) (more int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.verbs[verb]
	if u != nil && now.Sub(u.since) < queueLogEvery {
		u.count++
		return 0, false
	}
	if l.verbs == nil {
		l.verbs = make(map[string]*unlogged)
	}
	if u != nil {
		more = u.count
	}
	l.verbs[verb] = &unlogged{since: now}
	return more, true
}
