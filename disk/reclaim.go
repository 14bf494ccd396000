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
	var stuck uint32 // a segment that could not be read: it stays, and it was said once
	for {
		select {
		case <-q.stop:
			return
		case <-q.store.kick:
		case <-tick.C:
		}
		for range q.store.log.Segments() { // at most once round
			id, ok := q.reclaimable()
			if !ok || id == stuck {
				break
			}
			err := q.reclaim(id)
			if err == nil {
				continue
			}
			if _, damaged := errors.AsType[*seglog.DamageError](err); damaged || errors.Is(err, errRecord) {
				stuck = id
				q.limits.Logger.Error("segment can't be given back", "segment", id, "error", err)
			}
			break
		}
	}
}

// reclaimable returns the oldest segment if it should be given back.
func (q *Queue) reclaimable() (id uint32, ok bool) {
	segments := q.store.log.Segments()
	if len(segments) < 2 || !segments[0].Sealed {
		return 0, false
	}
	var live int64
	q.engine.With(func(b *inbox.Book[ref]) { live = b.Live() })
	keep := keepSegments + int((2*live+q.segmentBytes-1)/q.segmentBytes)
	return segments[0].ID, len(segments) > keep || q.full()
}

func (q *Queue) full() bool { return errors.Is(q.store.log.Err(), seglog.ErrFull) }

var errStopped = errors.New("disk: reclaim was stopped")

// reclaim writes what is needed of the segment to the end of the log and gives it back.
func (q *Queue) reclaim(segment uint32) error {
	f := forwarder{q: q, segment: segment}
	for {
		f.find()
		if len(f.needed) == 0 {
			break
		}
		if err := f.entries(); err != nil {
			return err
		}
	}
	if err := f.remembered(); err != nil {
		return err
	}
	q.store.readers.Lock()
	//lint:ignore SA2001 who reads by a reference from before is through now
	q.store.readers.Unlock()
	return q.store.log.Release(segment)
}
