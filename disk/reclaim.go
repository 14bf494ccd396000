package disk

import (
	"errors"
	"time"

	"github.com/bachata-go/bachata/internal/inbox"
	"github.com/bachata-go/bachata/internal/seglog"
)

const (
	// reclaimEvery is how often the reclaimer looks by itself: what was confirmed may have freed much with few bytes.
	reclaimEvery = time.Second
	// keepSegments are never given back, besides twice what is needed.
	keepSegments = 3
)

func (q *Queue) reclaimer() {
	tick := time.NewTicker(reclaimEvery)
	defer tick.Stop()
	var r reclaimer
	for {
		select {
		case <-q.stop:
			return
		case <-q.store.kick:
		case <-tick.C:
		}
		for range q.store.log.Segments() { // at most once round
			if !r.one(q) {
				break
			}
		}
	}
}

// reclaimer is what the goroutine that gives segments back knows of what it did before.
type reclaimer struct {
	stuck  uint32 // a segment that can't be given back whatever comes
	costly uint32 // one of which nearly all was needed
	found  usage  // when that was found
	paid   int64  // what others had written when such a one was given back
	said   string // the error that was logged last
}

// usage is how much of the log is in use.
type usage struct {
	live   int64 // bytes that are needed
	others int64 // bytes that others than the reclaimer have written
	full   bool  // the disk
}

// one gives the oldest segment back if it should be, and reports whether to go on.
//
// One of which nearly all is needed gains next to nothing, but what is behind it may: it is moved when others have
// written a quarter of a segment since the last one was. So the log does not grow because of it, and a queue that
// nobody uses does not write by itself without end, whatever the estimates say. Before that it is looked at again once
// less may be needed of it: confirmations take few bytes, and on a full disk nobody else writes any.
func (r *reclaimer) one(q *Queue) bool {
	id, now, ok := q.reclaimable()
	pays := now.others-r.paid >= q.segmentBytes/4
	if !ok || id == r.stuck || id == r.costly && !pays && !r.eased(q, now) {
		return false
	}
	worth, err := q.reclaim(id, pays)
	r.say(q, id, err)
	switch {
	case err != nil:
		_, damaged := errors.AsType[*seglog.DamageError](err)
		if damaged || errors.Is(err, errRecord) || errors.Is(err, inbox.ErrTooLarge) {
			r.stuck = id
		}
		return false
	case worth:
		return true
	case pays:
		r.paid = now.others
		return true
	}
	r.costly, r.found = id, now
	return false
}

// eased reports whether less may be needed of the costly segment than when that was found. To look costs the more the
// larger the queue is; a full disk is worth it whenever anything has changed.
func (r *reclaimer) eased(q *Queue, now usage) bool {
	return r.found.live-now.live >= q.segmentBytes/8 || now.full && now != r.found
}

// say logs an error that is not the same as the last one: it comes again each second.
func (r *reclaimer) say(q *Queue, id uint32, err error) {
	text := ""
	if err != nil && !errors.Is(err, errStopped) {
		text = err.Error()
	}
	if text != "" && text != r.said {
		q.limits.Logger.Error("segment can't be given back", "segment", id, "error", err)
	}
	r.said = text
}

// reclaimable returns the oldest segment if it should be given back.
func (q *Queue) reclaimable() (id uint32, now usage, ok bool) {
	segments := q.store.log.Segments()
	if len(segments) < 2 || !segments[0].Sealed {
		return 0, now, false
	}
	now.full = q.full()
	q.engine.With(func(b *inbox.Book[ref]) { now.live, now.others = b.Live(), q.store.total-q.store.moved })
	keep := keepSegments + int((2*now.live+q.segmentBytes-1)/q.segmentBytes)
	return segments[0].ID, now, len(segments) > keep || now.full
}

func (q *Queue) full() bool { return errors.Is(q.store.log.Err(), seglog.ErrFull) }

var errStopped = errors.New("disk: reclaim was stopped")

// reclaim writes what is needed of the segment to the end of the log and gives it back. If that is more than three
// quarters of it, it is not worth it, and only done if costly is set.
func (q *Queue) reclaim(segment uint32, costly bool) (worth bool, err error) {
	f := forwarder{q: q, segment: segment}
	for first := true; ; first = false {
		f.find()
		if first {
			cost := f.cost()
			worth = 4*cost <= 3*q.segmentBytes
			if !worth && !costly {
				return worth, nil
			}
			if q.full() {
				f.urgent = 4*cost <= 3*q.room()
			}
		}
		if len(f.needed) == 0 {
			break
		}
		if err := f.entries(); err != nil {
			return worth, err
		}
	}
	if err := f.remembered(); err != nil {
		return worth, err
	}
	q.store.readers.Lock()
	//lint:ignore SA2001 who reads by a reference from before is through now
	q.store.readers.Unlock()
	return worth, q.store.log.Release(segment)
}
