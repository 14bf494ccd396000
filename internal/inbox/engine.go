package inbox

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bachata-go/bachata"
)

// ErrTooLarge is what Backend.Write returns for a commit that is too large for it, whatever it does.
var ErrTooLarge = errors.New("inbox: too large for the store")

// Backend is where an Engine writes its changes and reads payloads.
type Backend[R comparable] interface {
	// Write hands the changes of one commit over, and returns where they are kept and the ticket of the commit. It
	// is called under the engine's lock and does not wait until the commit is safe. Later tickets are larger.
	Write(ops []Op, urgent bool) (Place[R], error)
	// Flush has what was handed over made safe soon, whether anybody waits for it or not. It does not wait.
	Flush()
	// Ready reports whether a Write of about n bytes would not wait for the store. Only a Write makes that false.
	Ready(n int) bool
	// Room returns once Ready(n) is true, or the error of ctx. It is called without the engine's lock.
	Room(ctx context.Context, n int) error
	// Wait returns once the commit of ticket, and all before it, are as safe as the backend promises. It need not be
	// begun before somebody waits or Flush is called.
	Wait(ctx context.Context, ticket uint64) error
	// Lead may make the commit of ticket safe in the caller's goroutine, however long that takes, or leave it to Wait.
	Lead(ticket uint64)
	// Synced returns the last ticket for which Wait would not wait.
	Synced() uint64
	// Read fills in what the entry that f found keeps in the backend. It is called without the engine's lock, unless
	// Store.Inside is set.
	Read(f *Found[R], e *bachata.Envelope) error
	// Hold keeps what was fetched since readable until release is called.
	Hold() (release func())
	// Err returns why the backend can't be read any more.
	Err() error
}

// Place says where a commit is kept.
type Place[R comparable] struct {
	Ref     R
	Segment uint32 // of the log
	Ticket  uint64
}

// Engine is a bachata.Queue but for its Info: a Book under a lock, a Backend, and who watches. Its methods keep the
// contract of bachata.Queue.
type Engine[R comparable] struct {
	limits   Limits
	inside   bool // as Store.Inside
	backend  Backend[R]
	keyer    Keyer
	hands    bool // messages may be handed over in a put: a simple queue of which nothing is waited for
	watchers Watchers
	shrunk   atomic.Pointer[shrunk]

	mu      sync.Mutex
	book    *Book[R]
	ops     Ops
	woken   *wakeups // since the lock was taken
	last    uint64   // ticket of the last commit
	pending []mark   // commits that are not known to be safe yet, oldest first
	visible uint64   // entries up to this number are safe
	closed  bool
	unsaid  bool // that the window was shortened
	written bool // something, that the backend was not told to flush

	puts  sync.Pool // of *puts
	rooms wakeRooms
	finds sync.Pool // of *[]Found[R]

	stop chan struct{}
	work sync.WaitGroup
}

// mark says up to which number a commit goes.
type mark struct{ ticket, seq uint64 }

// shrunk says what is left of the dedupe window since at, both in ms.
type shrunk struct{ window, at int64 }

// NewEngine makes an engine on book, which is the engine's from then on, and starts its sweeper. What is in book is
// safe.
func NewEngine[R comparable](l Limits, book *Book[R], backend Backend[R], keyer Keyer) *Engine[R] {
	e := &Engine[R]{limits: l, book: book, backend: backend, keyer: keyer, stop: make(chan struct{})}
	e.inside = book.store.Inside
	e.hands = l.Simple && backend.Synced() == math.MaxUint64
	e.visible = book.Last()
	e.puts.New = func() any { return new(puts) }
	e.finds.New = func() any { return new([]Found[R]) }
	book.OnShrink(func(window, now int64) {
		e.shrunk.Store(&shrunk{window, now})
		e.unsaid = true
	})
	if l.Sweep > 0 {
		e.work.Go(e.sweeper)
	}
	return e
}

// Shut refuses what comes from now on and stops the sweeper. It reports false if that was done before.
func (e *Engine[R]) Shut() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.closed = true
	close(e.stop)
	return true
}

// Done waits until nothing of the engine runs any more, after Shut.
func (e *Engine[R]) Done() { e.work.Wait() }

// Window returns the dedupe window at this moment, zero in simple mode. It takes no lock.
func (e *Engine[R]) Window() time.Duration {
	if e.limits.Simple {
		return 0
	}
	window := e.limits.Window
	if s := e.shrunk.Load(); s != nil && e.now()-s.at < window {
		window = min(window, s.window)
	}
	return time.Duration(window) * time.Millisecond
}

// With calls do under the lock. do must not wait.
func (e *Engine[R]) With(do func(b *Book[R])) {
	e.mu.Lock()
	defer e.unlock()
	do(e.book)
}

// unlock gives the lock back, and tells what was to be told then: a logger may wait, or look at the queue.
func (e *Engine[R]) unlock() {
	if e.written {
		e.written = false
		e.backend.Flush()
	}
	e.unlockLater()
}

// unlockLater is unlock for who will wait for what was written.
func (e *Engine[R]) unlockLater() {
	unsaid := e.unsaid
	e.unsaid = false
	e.mu.Unlock()
	if s := e.shrunk.Load(); unsaid && s != nil {
		e.limits.count(bachata.CountDedupeShortened)
		e.limits.Logger.Warn("dedupe window is shortened: the cap on remembered ids was reached",
			"window", time.Duration(s.window)*time.Millisecond, "cap", e.limits.Cap)
	}
}

// Note takes note of a commit that do, called by With, wrote by itself. The lock is held.
func (e *Engine[R]) Note(ticket uint64) {
	e.written = true
	e.advance()
	e.last = max(e.last, ticket)
	if ticket <= e.backend.Synced() && len(e.pending) == 0 {
		e.visible = e.book.Last()
		return
	}
	if n := len(e.pending); n > 0 && e.pending[n-1].ticket == ticket {
		e.pending[n-1].seq = e.book.Last()
		return
	}
	e.pending = append(e.pending, mark{ticket, e.book.Last()})
}

// advance moves visible up to what is safe by now.
func (e *Engine[R]) advance() {
	if len(e.pending) == 0 {
		return
	}
	synced := e.backend.Synced()
	i := 0
	for ; i < len(e.pending) && e.pending[i].ticket <= synced; i++ {
		e.visible = e.pending[i].seq
	}
	e.pending = append(e.pending[:0], e.pending[i:]...)
}

func (e *Engine[R]) now() int64 { return e.limits.Now().UnixMilli() }

// enter takes the lock if the engine still works, or says why not.
func (e *Engine[R]) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return bachata.ErrQueueClosed
	}
	return nil
}

// commitBytes is about what a commit takes that holds no payload.
const commitBytes = 8 << 10

// ready waits until the backend takes n bytes at once. Nobody else has to wait for that: the lock is let go meanwhile. It
// is held when ready is called and when it returns.
func (e *Engine[R]) ready(ctx context.Context, n int) error {
	for !e.backend.Ready(n) {
		mine := e.woken // whoever takes the lock meanwhile must not take it for his
		e.woken = nil
		e.unlock()
		err := e.backend.Room(ctx, n)
		e.mu.Lock()
		e.woken = e.rooms.join(mine, e.woken)
		if err != nil {
			return err
		}
		if e.closed {
			return bachata.ErrQueueClosed
		}
	}
	return nil
}

// WithRoom is With for a do that writes n bytes.
func (e *Engine[R]) WithRoom(ctx context.Context, n int, do func(b *Book[R])) error {
	e.mu.Lock()
	defer e.unlock()
	if err := e.ready(ctx, n); err != nil {
		return err
	}
	do(e.book)
	return nil
}

// leave gives the lock back and returns what must be woken once the ticket is safe.
func (e *Engine[R]) leave() (ticket uint64, woken *wakeups) {
	ticket, woken = e.last, e.woken
	e.woken = nil
	e.unlock()
	return ticket, woken
}

// leaveLater is leave for who will wait for the ticket.
func (e *Engine[R]) leaveLater() (ticket uint64, woken *wakeups) {
	ticket, woken = e.last, e.woken
	e.woken = nil
	e.unlockLater()
	return ticket, woken
}

// news is what watchers are told once it is safe.
type news struct {
	messages []*Message
	woken    *wakeups
}

// settle waits for ticket and tells n afterwards, also if ctx ends before.
func (e *Engine[R]) settle(ctx context.Context, ticket uint64, n news) error {
	err := e.backend.Wait(ctx, ticket)
	if err == nil {
		e.tell(ctx, n)
		return nil
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		e.later(func() {
			if e.backend.Wait(context.Background(), ticket) == nil {
				var nobody context.Context
				e.tell(nobody, n)
			}
		})
	}
	return err
}

func (e *Engine[R]) tell(cause context.Context, n news) {
	if len(n.messages) > 0 {
		e.wakeStored(cause, n.messages)
	}
	e.wake(cause, n.woken)
}

// later runs work that Done waits for, unless the engine is shut.
func (e *Engine[R]) later(work func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.work.Go(work)
	}
}
