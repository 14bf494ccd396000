package seglog

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bachata-go/bachata/internal/vfs"
)

const (
	defaultSegmentBytes = 64 << 20
	minSegmentBytes     = 4 << 10
	maxSegmentBytes     = 2 << 30

	// batchBytes is what a batch may grow to before the next is begun, so that the writer isn't far behind the
	// appenders and recovery needs little memory. One call of AppendAll may make a larger one.
	batchBytes = 4 << 20
	// pendingBytes and pendingBatches are what may wait for the writer before Append does.
	pendingBytes   = 64 << 20
	pendingBatches = ringSize / 2
	// ringSize is more than the batches that can wait, so that a ticket finds its batch without a lock.
	ringSize = 64

	// reservePart of a segment is kept for urgent records while no next segment is prepared.
	reservePart = 4
	// retryEvery is how often a segment that could not be prepared is tried again.
	retryEvery = time.Second
)

// Options say where a log is and how it behaves.
type Options struct {
	FS  vfs.FS // default vfs.OS
	Dir string // required; made if it isn't there
	// SegmentBytes is the size of the segments that are made from now on: a multiple of 4 KiB, 4 KiB to 2 GiB,
	// default 64 MiB. A record, or the records of one AppendAll, must fit into one.
	SegmentBytes int64
	// OnSync is called after each sync with the last ticket that is safe now, which Synced returns by then, and before
	// Wait returns to those who wait for it. It is called from the goroutine that writes: it must be quick and must
	// call neither Append nor Close.
	OnSync func(Ticket)
	Logger *slog.Logger // default: silence
}

// Pos is the place of a record.
type Pos struct {
	Segment uint32
	Offset  uint32 // of the record's header, in bytes
}

// Ticket is the number of the batch that a record is in. Later batches have larger tickets, also after the next Open.
type Ticket uint64

// Log is an open log. All methods may be called concurrently.
type Log struct {
	options Options
	fs      vfs.FS
	dir     vfs.Dir
	lock    io.Closer
	id      storeID

	synced   atomic.Uint64 // number of the last batch that is safe
	told     atomic.Uint64 // number of the last that OnSync was called for; never ahead of synced
	wanted   atomic.Uint64 // number of the last batch that is to be written without being full; set under mu
	headed   atomic.Uint32 // the last segment whose header is safe; those before it are sealed
	ring     [ringSize]atomic.Pointer[batch]
	segments atomic.Pointer[[]*segment] // oldest first, the active one last; replaced under mu

	tail tail

	mu      sync.Mutex
	work    sync.Cond // for the writer: there is a batch, or it shall end
	room    sync.Cond // for appenders: there may be room now
	current *batch    // being collected
	queue   []*batch  // collected, oldest first
	waiting int64     // bytes of the queue and of the batch that is being written
	buffers [][]byte  // for the next batches
	next    uint64    // number of the next batch
	active  *segment  // where current goes
	offset  int64     // in active: the end of what was appended
	spare   *segment  // the next segment, prepared
	full    error     // why there is no spare; nil while that is being worked on
	refused bool      // something was, because of that
	failed  error     // why nothing is written any more
	writing bool      // a batch is being written
	closing bool
	clean   bool // the last batch is the mark of a clean close

	directory sync.Mutex    // held while segments are renamed and removed; taken before mu
	prepare   chan struct{} // capacity 1: a spare is wanted
	stop      chan struct{} // closed to end the preparer
	writer    sync.WaitGroup
	preparer  sync.WaitGroup
	closed    sync.Once
	closeErr  error
}

// Open opens the log in o.Dir, or makes a new one. It hands every record to replay, oldest first; rec is only valid
// during the call. An error of replay ends Open with it.
//
// What was being written when the process or the host stopped, and was confirmed to nobody, is either recovered or cut
// off. Anything else that is not as it was written is a *DamageError. Other errors: ErrLocked, ErrVersion, ErrFull (no
// room for the first segment of a new log), and those of the file system.
func Open(o Options, replay func(pos Pos, rec []byte) error) (*Log, error) {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	if o.SegmentBytes < minSegmentBytes || o.SegmentBytes > maxSegmentBytes || o.SegmentBytes%minSegmentBytes != 0 {
		return nil, fmt.Errorf("seglog: SegmentBytes is %d, want a multiple of %d from %d to %d",
			o.SegmentBytes, minSegmentBytes, minSegmentBytes, int64(maxSegmentBytes))
	}
	if o.FS == nil {
		o.FS = vfs.OS{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{
		options: o,
		fs:      o.FS,
		prepare: make(chan struct{}, 1),
		stop:    make(chan struct{}),
	}
	l.work.L, l.room.L = &l.mu, &l.mu
	l.segments.Store(new([]*segment))
	if err := l.open(replay); err != nil {
		return nil, errors.Join(fmt.Errorf("open log %q: %w", o.Dir, err), l.release())
	}
	l.writer.Go(l.write)
	l.preparer.Go(l.prepareSpares)
	return l, nil
}

// Synced returns the last ticket that is safe; all before it are too. It never blocks.
func (l *Log) Synced() Ticket { return Ticket(l.synced.Load()) }

// MaxRecord returns the largest record, in bytes, that Append takes.
func (l *Log) MaxRecord() int { return int(l.maxBody() - recordHeaderBytes) }

// Err returns why Append refuses at this moment: nil if it doesn't, an error that wraps ErrFull while it refuses what
// is not urgent, one that wraps ErrFailed if the log was stopped, ErrClosed after Close.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.refusal(); err != nil {
		return err
	}
	if l.full != nil && (l.refused || l.free() < l.reserve()+batchHeaderBytes+recordBytes(1)) {
		return l.full
	}
	return nil
}

// Close writes what was appended, marks the log as cleanly closed and unlocks its directory. It returns the error
// that stopped the log, if one did. Later calls do nothing and return the same.
func (l *Log) Close() error {
	l.closed.Do(func() { l.closeErr = l.shutDown() })
	return l.closeErr
}

func (l *Log) shutDown() error {
	l.mu.Lock()
	l.closing = true
	l.work.Signal()
	l.room.Broadcast()
	l.mu.Unlock()
	l.writer.Wait()
	close(l.stop)
	l.preparer.Wait()
	l.directory.Lock()
	defer l.directory.Unlock()
	if err := l.markClean(); err != nil {
		return errors.Join(err, l.release())
	}
	return l.release()
}

// markClean ends the log with an empty batch that says that it is whole.
func (l *Log) markClean() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return l.failed
	}
	if l.clean {
		return nil
	}
	l.begin()
	b := l.current
	l.current, b.flags, l.clean = nil, flagClean, true
	if err := l.store(b); err != nil {
		l.failed = failure(err)
		return l.failed
	}
	l.synced.Store(b.number)
	l.told.Store(b.number)
	return nil
}

// release gives back what an open log holds.
func (l *Log) release() error {
	var errs []error
	l.tail.shut()
	for _, s := range *l.segments.Load() {
		errs = append(errs, s.file.Close())
	}
	if l.spare != nil {
		errs = append(errs, l.spare.file.Close())
	}
	if l.dir != nil {
		errs = append(errs, l.dir.Close())
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
	}
	return errors.Join(errs...)
}

// refusal returns why nothing can be appended at all.
func (l *Log) refusal() error {
	if l.failed != nil {
		return l.failed
	}
	if l.closing {
		return ErrClosed
	}
	return nil
}

// fail stops the log for good and returns the error that did, which may be an earlier one. The batch that is being
// written, if there is one, is left to the writer.
func (l *Log) fail(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return l.failed
	}
	l.failed = failure(err)
	l.options.Logger.Error("log stopped", "dir", l.options.Dir, "error", err)
	if l.current != nil {
		l.queue = append(l.queue, l.current)
	}
	for _, b := range l.queue {
		b.finish(l.failed)
	}
	l.current, l.queue = nil, nil
	l.work.Signal()
	l.room.Broadcast()
	return l.failed
}

func failure(err error) error {
	if vfs.IsFull(err) {
		return fmt.Errorf("%w: %w: %w", ErrFailed, ErrFull, err)
	}
	return fmt.Errorf("%w: %w", ErrFailed, err)
}
