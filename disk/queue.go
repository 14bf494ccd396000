// Package disk is the durable embedded bachata.Queue: a segmented log in a folder, with an index of what is pending
// in memory. What it has accepted survives kill -9 and the loss of power.
//
// Every change is a record in the log, whose format FORMAT.md describes; records that come together share one write
// and one sync. A process that opens the folder reads the log from its oldest segment and has the index again. The
// index takes about 130 bytes of heap per pending message (40 more in an inbox of more than 256 that is searched by id), and
// about 70 per id that is remembered; payloads stay on disk.
//
// A goroutine gives segments back, always the oldest, when more than 3 and twice what is needed are in use: what is still
// needed of them is written to the end of the log first.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

const (
	defaultSegmentBytes = 64 << 20
	minSegmentBytes     = 64 << 10
	mostSegmentBytes    = 2 << 30
)

// ErrLocked is returned by Open, Check and Salvage while another process, or another Queue, has the folder.
var ErrLocked = errors.New("disk: folder is in use by another process")

// Options configure a Queue; the zero value is useful.
type Options struct {
	bachata.QueueOptions
	// SegmentBytes is the size of one file of the log, which is written full of zeros ahead of time: a multiple of
	// 4 KiB, 64 KiB to 2 GiB, default 64 MiB. It is also the bound of one message, a little less: what is larger
	// is answered Full. It may change from one Open to the next.
	SegmentBytes int64
	// FS is the file system, for tests of this module in which the power fails. Leave it nil: the host's.
	FS vfs.FS
}

// Queue is a bachata.Queue in a folder. All methods may be called concurrently.
//
// When the disk is full Put returns an error that wraps bachata.ErrUnavailable, and PopDelivered goes on in the room
// that is kept for it. After the first write or sync that fails every method returns such an error until the queue
// is opened again: what a failed sync left behind can't be known.
//
// In simple mode Fetch returns once it is on disk that the messages are gone: each is handed out at most once, also if
// the process is killed.
type Queue struct {
	engine *inbox.Engine[ref]
	store  *store
	simple bool

	segmentBytes int64
	limits       inbox.Limits
	stop         chan struct{}
	work         sync.WaitGroup
	closed       sync.Once
}

var (
	_ bachata.Queue      = (*Queue)(nil)
	_ bachata.AllWatcher = (*Queue)(nil)
	_ bachata.Batcher    = (*Queue)(nil)
)

// Open opens the queue in dir, which is made if it isn't there; nil stands for the zero Options. It reads the whole
// log: about a second per million messages. Errors: ErrLocked; ErrVersion; an error that names file and offset if
// something is not as it was written (Check says more); those of the file system; an option that is out of bounds, with its
// name and limit. The caller closes the queue, after the centers on it.
func Open(dir string, o *Options) (*Queue, error) {
	if o == nil {
		o = &Options{}
	}
	limits, err := inbox.Resolve(o.QueueOptions)
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	size, fsys := o.SegmentBytes, o.FS
	if size == 0 {
		size = defaultSegmentBytes
	}
	if size < minSegmentBytes {
		return nil, fmt.Errorf("disk: SegmentBytes is %d, must be at least %d", size, minSegmentBytes)
	}
	if fsys == nil {
		fsys = vfs.OS{}
	}
	q := &Queue{store: newStore(size), simple: o.Simple, segmentBytes: size, limits: limits, stop: make(chan struct{})}
	if err := q.open(dir, fsys); err != nil {
		return nil, fmt.Errorf("open queue %q: %w", dir, err)
	}
	return q, nil
}

func (q *Queue) open(dir string, fsys vfs.FS) error {
	book := inbox.New(q.limits, inbox.Store[ref]{Weight: weight, Say: q.store.recent.find})
	p := newPlayer(book, q.limits.Now().UnixMilli())
	salt, err := readHeader(fsys, dir)
	switch {
	case err == nil:
		p.salt, p.salted = salt, true
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	log, err := seglog.Open(seglog.Options{
		FS:           fsys,
		Dir:          dir,
		SegmentBytes: q.segmentBytes,
		Logger:       q.limits.Logger,
	}, p.play)
	if errors.Is(err, seglog.ErrLocked) {
		return fmt.Errorf("%w: %w", ErrLocked, err)
	}
	if err != nil {
		return err
	}
	if !p.salted {
		if salt, err = makeHeader(fsys, dir); err != nil {
			return errors.Join(err, log.Close())
		}
	}
	q.store.log = log
	q.engine = inbox.NewEngine(q.limits, book, q.store, salt)
	q.work.Go(q.reclaimer)
	return nil
}

func weight(r ref) int { return int(r.size) + recordOverhead }

// Put is bachata.Queue's.
func (q *Queue) Put(ctx context.Context, items []bachata.Item) ([]bachata.PutResult, error) {
	return q.engine.Put(ctx, items)
}

// Fetch is bachata.Queue's. If a message that it comes to is damaged on disk, it returns those before it, and an
// error once there are none. Payload, ID, From and Dest of an envelope share one piece of memory.
func (q *Queue) Fetch(ctx context.Context, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
	return q.engine.Fetch(ctx, channel, after, limit)
}

// Watch is bachata.Queue's.
func (q *Queue) Watch(channel string, wake func(bachata.Wake)) (stop func(), err error) {
	return q.engine.Watch(channel, wake)
}

// WatchAll is bachata.AllWatcher's.
func (q *Queue) WatchAll(find func(channel string) bachata.Watcher) (stop func(), err error) {
	return q.engine.WatchAll(find)
}

// PopDelivered is bachata.Queue's.
func (q *Queue) PopDelivered(ctx context.Context, channel, by string, keys []bachata.Key) ([]bachata.Popped, error) {
	return q.engine.PopDelivered(ctx, channel, by, keys)
}

// Batch is bachata.Batcher's. What is put is written when the batch is waited for: what several have put by then
// shares one write and one sync.
func (q *Queue) Batch() bachata.Batch { return q.engine.Batch() }

// CheckDelivered is bachata.Queue's.
func (q *Queue) CheckDelivered(ctx context.Context, channel string, key bachata.Key) (bool, error) {
	return q.engine.CheckDelivered(ctx, channel, key)
}

// Info is bachata.Queue's.
func (q *Queue) Info() bachata.Info {
	info := bachata.Info{
		Name:    "disk",
		Level:   "synced to disk: survives kill -9 and power loss of this host",
		Durable: true,
		Atomic:  true,
		Dedupe:  q.engine.Window(),
	}
	if q.simple {
		info.Mode = bachata.Simple
	}
	return info
}

// Close writes what was handed over, waits for it, and gives the folder free. It returns the error that stopped the
// queue, if one did. Called again it does nothing and returns nil.
func (q *Queue) Close() error {
	var err error
	q.closed.Do(func() {
		q.engine.Shut()
		close(q.stop)
		q.work.Wait()
		if err = q.store.log.Close(); err != nil {
			err = fmt.Errorf("close queue: %w", err)
		}
		q.engine.Done()
	})
	return err
}
