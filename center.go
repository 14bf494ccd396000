package bachata

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosing is returned for what a center no longer takes, because it is shutting down or closed.
var ErrClosing = errors.New("bachata: center is closing")

// Options configure a Center. The zero value is useful.
type Options struct {
	Protocol Protocol     // default JSON()
	Counters Counters     // default: not counted
	Logger   *slog.Logger // default: silent; content and tokens are never logged
	// Window bounds what is written to one socket and not yet confirmed. Default 1,000 messages and 4 MiB; one larger
	// message goes alone.
	Window Limit
	// WindowTimeout is how long a full window may see no confirmation before the client is told (400 window_full).
	// Default 60 s.
	WindowTimeout time.Duration
	// CloseOnWindowTimeout closes such a socket (4408) instead of only telling it.
	CloseOnWindowTimeout bool
	// RefuseFrom refuses messages in which the client set a "from" other than its own, instead of overwriting it.
	RefuseFrom bool
	// MaxMessage is the largest frame in bytes, as announced by the 1000; the handler enforces it. Default 64 KiB.
	MaxMessage int
	// PostProcessors bounds how many post-processings run at once. Default 64.
	PostProcessors int
	// SweepEvery is how often every inbox with a socket here is read, in case a wake-up was lost. Default 1 minute.
	SweepEvery time.Duration
	// BarrierDelay is how long after a receipt was written the socket is asked whether it arrived. Default 1 s.
	BarrierDelay time.Duration
}

const (
	defaultMaxMessage = 64 << 10
	barrierFrames     = 256 // unproven frames after which the barrier does not wait for its delay
	batchItems        = 256 // messages of one socket that are put at once
	batchBytes        = 1 << 20
	batchKeys         = 1000 // confirmations of one socket that are popped at once
	simpleRetry       = time.Second
	minRetry          = 100 * time.Millisecond
	maxRetry          = 5 * time.Second
	mostBacklog       = 256 << 10        // bytes that a client may be behind with reading
	maxSpread         = 10 * time.Second // over which a drain asks its clients to come back
)

// fetchLimit bounds what one read of an inbox takes into memory.
var fetchLimit = Limit{Messages: 256, Bytes: 256 << 10}

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	if d.Protocol == nil {
		d.Protocol = JSON()
	}
	if d.Counters == nil {
		d.Counters = noCounters{}
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	orDefault(&d.Window.Messages, 1000)
	orDefault(&d.Window.Bytes, 4<<20)
	orDefault(&d.WindowTimeout, 60*time.Second)
	orDefault(&d.MaxMessage, defaultMaxMessage)
	orDefault(&d.PostProcessors, 64)
	orDefault(&d.SweepEvery, time.Minute)
	orDefault(&d.BarrierDelay, time.Second)
	return d
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Center is the heart: it takes what sessions receive through the routes into the queue, and what the queue holds to
// the sessions. All methods may be called concurrently.
type Center struct {
	queue    Queue
	mode     Mode
	inline   bool // reading the queue does not wait, or not for a commit: whoever wakes, serves
	options  Options
	proto    Protocol
	counters Counters
	log      *slog.Logger
	errors   errorLog

	seed     maphash.Seed
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	draining atomic.Bool
	posts    postPool

	immediate bool // the queue never waits

	intakes, deliveries, hintRooms sync.Pool

	registry   registry
	left       leftovers
	hubRetries hubRetries
	closing    atomic.Bool // no new sockets
	stopWatch  func()      // nil: every hub watches its channel

	routesMu sync.Mutex
	routes   atomic.Pointer[[]Route]

	work work
}

// NewCenter makes a center on q, which stays the caller's to close, after the center. A nil o means the defaults.
func NewCenter(q Queue, o *Options) *Center {
	options := o.withDefaults()
	c := &Center{
		queue:    q,
		mode:     q.Info().Mode,
		inline:   q.Info().Mode == Reliable || q.Info().Immediate,
		options:  options,
		proto:    options.Protocol,
		counters: options.Counters,
		log:      options.Logger,
		seed:     maphash.MakeSeed(),
	}
	c.immediate = q.Info().Immediate
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.routes.Store(new([]Route))
	c.registry.seed = c.seed
	c.intakes.New = c.newIntake
	c.deliveries.New = func() any { return new(delivery) }
	c.hintRooms.New = func() any { return new(envelopes) }
	c.work.done = make(chan struct{})
	if all, ok := q.(AllWatcher); ok {
		if stop, err := all.WatchAll(c.watcher); err == nil {
			c.stopWatch = stop
		} // else Watch says what is wrong, to each socket
	}
	if c.enter() {
		go c.sweep()
	}
	return c
}

// Queue returns the queue.
func (c *Center) Queue() Queue { return c.queue }

// Protocol returns the protocol.
func (c *Center) Protocol() Protocol { return c.proto }

// Routes returns the routes in their order.
func (c *Center) Routes() []Route { return slices.Clone(*c.routes.Load()) }

// AddRoute appends route to the chain. The same route twice is an error. Messages that are being routed go on with the
// chain as it was.
func (c *Center) AddRoute(route Route) error {
	c.routesMu.Lock()
	defer c.routesMu.Unlock()
	routes := c.Routes()
	if slices.ContainsFunc(routes, func(r Route) bool { return same(r, route) }) {
		return fmt.Errorf("bachata: route %T is already added", route)
	}
	routes = append(routes, route)
	c.routes.Store(&routes)
	return nil
}

// RemoveRoute takes route out of the chain and reports whether it was in it.
func (c *Center) RemoveRoute(route Route) bool {
	c.routesMu.Lock()
	defer c.routesMu.Unlock()
	routes := c.Routes()
	i := slices.IndexFunc(routes, func(r Route) bool { return same(r, route) })
	if i < 0 {
		return false
	}
	routes = slices.Delete(routes, i, i+1)
	c.routes.Store(&routes)
	return true
}

// Online returns how many sockets of channel are connected to this node.
func (c *Center) Online(channel string) int {
	h := c.hubOf(channel)
	if h == nil {
		return 0
	}
	return len(h.list(nil))
}

// CloseUser closes every session of user on this node and returns how many there were.
func (c *Center) CloseUser(user string, code CloseCode, reason string) int {
	n := 0
	for _, s := range c.sessions() {
		if s.user() == user {
			s.Close(code, reason)
			n++
		}
	}
	return n
}

// hash returns a hash of a name that is not zero, and zero for no name. Nobody outside can know which names collide.
func (c *Center) hash(name string) uint64 {
	if name == "" {
		return 0
	}
	return maphash.String(c.seed, name) | 1
}

// After calls job after d, unless the center is closed before, and returns a function that cancels it. job's context
// ends with the center. Its panic is logged, and ends nothing else. Timers live in memory: those of a process that ends are gone.
func (c *Center) After(d time.Duration, job func(ctx context.Context)) (cancel func()) {
	t := c.after(d, func(ctx context.Context) {
		_ = c.guard(func() error {
			job(ctx)
			return nil
		})
	})
	return func() { t.Stop() }
}

func (c *Center) after(d time.Duration, job func(ctx context.Context)) *time.Timer {
	return time.AfterFunc(d, func() {
		if c.enter() {
			defer c.leave()
			job(c.ctx)
		}
	})
}

// sweepAlone is how many sessions one goroutine sweeps: a goroutine for each would, every second, be more memory than the
// sessions themselves.
const sweepAlone = 64

// sweep has every session read its inbox now and then, part by part of the registry: a wake-up carries no promise.
func (c *Center) sweep() {
	defer c.leave()
	const parts = len(c.registry.parts)
	tick := time.NewTicker(max(c.options.SweepEvery/time.Duration(parts), time.Millisecond))
	defer tick.Stop()
	for i := 0; ; i = (i + 1) % parts {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		for some := range slices.Chunk(c.registry.parts[i].sessions(), sweepAlone) {
			c.sweepSome(some)
		}
	}
}

// sweepSome sweeps sessions one after the other. Where one has to wait, those behind it are still woken as ever.
func (c *Center) sweepSome(some []*Session) {
	if !c.enter() {
		return
	}
	go func() {
		defer c.leave()
		for _, s := range some {
			s.sweep()
		}
	}()
}

func (c *Center) queueFailed(call string, err error) {
	if c.ctx.Err() == nil {
		c.errors.failed(c.log, call, err)
	}
}

func (c *Center) queueAnswered(call string) { c.errors.answered(c.log, call) }

// same compares two routes; routes that can't be compared are different.
func same(a, b Route) (equal bool) {
	defer func() {
		if recover() != nil {
			equal = false
		}
	}()
	return a == b
}
