package bachata

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// errorLog logs errors that may come with every message or connection: who is refused sends again, who is closed connects again,
// and the log may be on the very disk that is full. Of each kind one is logged at once, and then, while they go on, ever more
// rarely: after 1 s, 2 s, 4 s, and at last once a minute. What was not said yet is said at once, though no sooner than a second
// after the last.
type errorLog struct {
	failing atomic.Bool // a call of the queue has failed, and recovered was not said since
	mu      sync.Mutex
	kinds   map[string]*logged // nil until something fails
}

// logged is what is known of one kind.
type logged struct {
	began      time.Time     // when the first came
	said       time.Time     // when one was logged last
	came       time.Time     // when one came last
	wait       time.Duration // how long after that the same is said again
	causes     []string      // that were said, at most errorLogCauses
	suppressed int           // that came since, and were not logged
	queue      bool          // it is a call of the queue, which may recover
}

const (
	errorLogEvery  = time.Second
	errorLogMost   = time.Minute
	errorLogCauses = 8
	// errorLogCalm is how long no call may have failed before it is said to work again: sessions try again that often, and of
	// a cluster a part may be away.
	errorLogCalm = maxRetry + time.Second
)

// write logs an error of a kind, unless one was logged just before. Every one of an empty cause is as if it had not come before.
func (l *errorLog) write(to *slog.Logger, kind, cause, text string, args ...any) {
	if more, ok := l.next(kind, cause, false, time.Now()); ok {
		to.Error(text, append(args, "suppressed", more)...)
	}
}

// note logs what is no error of ours, and is nobody else's to log, unless the like was logged just before.
func (l *errorLog) note(to *slog.Logger, kind, cause, text string, args ...any) {
	if more, ok := l.next(kind, cause, false, time.Now()); ok {
		to.Info(text, append(args, "suppressed", more)...)
	}
}

// failed logs that a call of the queue has failed, unless that was logged just before.
func (l *errorLog) failed(to *slog.Logger, call string, err error) {
	if more, ok := l.next(call, err.Error(), true, time.Now()); ok {
		to.Error("queue is unavailable", "call", call, "error", err, "suppressed", more)
	}
}

// next reports whether an error of a kind is to be logged, and how many before it were not.
func (l *errorLog) next(kind, cause string, queue bool, now time.Time) (more int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.kinds[kind]
	if k == nil || now.Sub(k.came) >= errorLogMost { // nothing came for so long: this is another trouble
		if l.kinds == nil {
			l.kinds = make(map[string]*logged)
		}
		if k != nil {
			more = k.suppressed
		}
		k = &logged{began: now, wait: errorLogEvery, queue: queue}
		l.kinds[kind] = k
	} else if !k.due(cause, now) {
		k.came = now
		k.suppressed++
		return 0, false
	}
	if cause != "" && len(k.causes) < errorLogCauses && !slices.Contains(k.causes, cause) {
		k.causes = append(k.causes, cause)
	}
	more, k.suppressed = more+k.suppressed, 0
	k.said, k.came = now, now
	if queue {
		l.failing.Store(true)
	}
	return more, true
}

// due reports whether another error of the kind is to be logged.
func (k *logged) due(cause string, now time.Time) bool {
	since := now.Sub(k.said)
	if since < errorLogEvery {
		return false
	}
	if cause == "" || len(k.causes) < errorLogCauses && !slices.Contains(k.causes, cause) {
		return true
	}
	if since < k.wait {
		return false
	}
	k.wait = min(2*k.wait, errorLogMost)
	return true
}

// answered is told that a call of the queue has succeeded, and logs that if it had failed before, though not within the
// last seconds: calls for another channel may fail still.
func (l *errorLog) answered(to *slog.Logger, call string) {
	if !l.failing.Load() {
		return
	}
	if k := l.recovered(call, time.Now()); k != nil {
		to.Info("queue is available again", "call", call, "failed_for", k.came.Sub(k.began).Round(time.Second), "suppressed", k.suppressed)
	}
}

// recovered returns what is known of a call that is to be said to work again, else nil.
func (l *errorLog) recovered(call string, now time.Time) *logged {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.kinds[call]
	if k == nil || now.Sub(k.came) < errorLogCalm {
		return nil
	}
	delete(l.kinds, call)
	failing := false
	for _, other := range l.kinds {
		failing = failing || other.queue
	}
	l.failing.Store(failing)
	return k
}
