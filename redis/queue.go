package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
)

// Queue is a bachata.Queue on a Redis or Valkey. All methods may be called concurrently. It reconnects by itself;
// while the server is away its methods return errors that wrap bachata.ErrUnavailable.
type Queue struct {
	options Options
	limits  inbox.Limits
	keys    keyspace
	many    int // in how many inboxes a message waits at most whose receipts stand in its record
	scripts scripts
	client  rueidis.Client
	log     *slog.Logger

	watch     *watcher
	publisher *publisher
	replicas  replicas
	gathered  struct{ put, fetch, pop gather }
	handed    handed
	leaving   leaving
	level     atomic.Pointer[level]
	forgot    atomic.Int64 // the last id that the cap made go was accepted then, Unix ms

	stopAt   func(hookPoint) bool // set by tests
	oneByOne bool                 // set by tests: buckets take turns

	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	starting sync.Mutex // held while a job is started, and while closed becomes true
	running  sync.WaitGroup
	closed   atomic.Bool
}

var (
	_ bachata.Queue     = (*Queue)(nil)
	_ bachata.Publisher = (*Queue)(nil)
)

// Open connects to the server. It fails if the server can't be reached, does not let this user in, does not give the rights
// that the queue needs, is too old, or is no cluster where Options says so; and if an option is out of bounds, with its name and
// limit. Connecting takes Options.Timeout for each address at most, whatever ctx says; ctx is for what is asked then, and not
// needed any more when Open returns.
//
// It does not fail if nothing can be accepted for now (of a replica, with too few replicas for Wait, while a primary of a cluster is
// away): the Logger is told, and Info().Level says so. The caller closes the queue, after the centers on it.
func Open(ctx context.Context, o Options) (*Queue, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	limits, err := inbox.Resolve(o.QueueOptions)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	q := &Queue{options: o, limits: limits, log: limits.Logger}
	if err := q.connect(); err != nil {
		return nil, err
	}
	q.many = cmp.Or(o.many, manyInboxes)
	q.scripts = newScripts(q.keys, limits, o.Shared, q.many)
	q.gathered.put = gather{q: q, verb: "put", script: q.scripts.putOne}
	q.gathered.fetch = gather{q: q, verb: "fetch", script: q.scripts.fetchOne}
	q.gathered.pop = gather{q: q, verb: "pop", script: q.scripts.popOne}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	err = q.readLevel(ctx)
	if err == nil {
		err = q.checkRights(ctx)
	}
	if err != nil {
		q.client.Close()
		q.cancel()
		return nil, err
	}
	q.noteHistory()
	q.watch, q.publisher = newWatcher(q), newPublisher(q)
	q.start(q.watch.run)
	q.start(q.maintain)
	if q.keys.cluster && !limits.Simple {
		q.start(q.maintainOut)
	}
	return q, nil
}

// connect dials the server and finds out whether it is a cluster.
func (q *Queue) connect() error {
	o := q.options
	option := rueidis.ClientOption{
		InitAddress:       o.Addresses,
		Username:          o.Username,
		Password:          o.Password,
		SelectDB:          o.DB,
		TLSConfig:         o.TLS,
		ClientName:        "bachata",
		AlwaysPipelining:  true,
		PipelineMultiplex: 1,
		DisableCache:      true,
		DisableRetry:      true,
		ConnWriteTimeout:  o.Timeout,
		// The library's half a megabyte in each direction of each connection is more than a read or a write brings.
		ReadBufferEachConn:  64 << 10,
		WriteBufferEachConn: 64 << 10,
		ForceSingleClient:   o.Sentinel == "" && !o.Cluster && len(o.Addresses) == 1 && (o.Shared || o.DB != 0),
	}
	option.Dialer.Timeout = o.Timeout
	option.Dialer.KeepAlive = time.Second
	option.ClusterOption.ShardsRefreshInterval = 10 * time.Second
	if o.Sentinel != "" {
		option.Sentinel = rueidis.SentinelOption{
			MasterSet: o.Sentinel, Username: o.SentinelUsername, Password: o.SentinelPassword, TLSConfig: o.TLS,
			TopologyRefreshInterval: time.Second,
		}
		option.Sentinel.Dialer.Timeout = o.Timeout
	}
	client, err := rueidis.NewClient(option)
	if err != nil {
		return fmt.Errorf("redis: connect to %s: %w", strings.Join(o.Addresses, ", "), withoutArgs(err))
	}
	q.client = client
	q.keys = keyspace{prefix: o.Prefix, cluster: client.Mode() == rueidis.ClientModeCluster}
	if o.Cluster && !q.keys.cluster {
		client.Close()
		return fmt.Errorf("redis: %s is no cluster", strings.Join(o.Addresses, ", "))
	}
	return nil
}

// start runs job in a goroutine that Close waits for. Once the queue is closed, when jobs end at once, it runs it itself.
func (q *Queue) start(job func()) {
	if !q.startCounted(job) {
		job()
	}
}

func (q *Queue) startCounted(job func()) bool {
	q.starting.Lock()
	defer q.starting.Unlock()
	if q.closed.Load() {
		return false
	}
	q.running.Go(job)
	return true
}

// Close ends the connections. Calls that it meets return bachata.ErrQueueClosed. It may be called twice.
func (q *Queue) Close() error {
	q.starting.Lock()
	before := q.closed.Swap(true)
	q.starting.Unlock()
	if before {
		q.running.Wait()
		return nil
	}
	q.awaitLeft()
	q.cancel()
	q.client.Close()
	q.running.Wait()
	return nil
}

// now returns the time as scripts get it.
func (q *Queue) now() int64 { return q.limits.Now().UnixMilli() }

// patience is for how long what a cluster refuses because a slot is on its way is tried again.
const patience = 3 * time.Second

// run has the server carry out a script whose reply is a list.
func (q *Queue) run(ctx context.Context, verb string, s *rueidis.Lua, keys, args []string) ([]rueidis.RedisMessage, error) {
	m, err := q.runMessage(ctx, verb, s, keys, args)
	if err != nil {
		return nil, err
	}
	list, err := m.ToArray()
	if err != nil && !rueidis.IsRedisNil(err) {
		return nil, q.failed(ctx, verb, err)
	}
	return list, nil
}

// runMessage has the server carry out a script. The error says what became of it and wraps bachata.ErrUnavailable.
func (q *Queue) runMessage(ctx context.Context, verb string, s *rueidis.Lua, keys, args []string) (rueidis.RedisMessage, error) {
	var none rueidis.RedisMessage
	if q.closed.Load() {
		return none, bachata.ErrQueueClosed
	}
	var deadline time.Time
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		m, err := s.Exec(ctx, q.client, keys, args).ToMessage()
		if err == nil || rueidis.IsRedisNil(err) {
			return m, nil
		}
		if !passing(err) || !deadline.IsZero() && time.Now().After(deadline) {
			return none, q.failed(ctx, verb, err)
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(patience)
		}
		select {
		case <-time.After(wait/2 + rand.N(wait)):
		case <-ctx.Done():
			return none, q.failed(ctx, verb, ctx.Err())
		case <-q.ctx.Done():
			return none, bachata.ErrQueueClosed
		}
	}
}

// passing reports whether the server refused to begin, and may not do so in a moment.
func passing(err error) bool {
	e, ok := rueidis.IsRedisErr(err)
	if !ok {
		return false
	}
	return e.IsTryAgain() || e.IsClusterDown() || strings.Contains(e.Error(), "non local key")
}

// failed says what became of a call.
func (q *Queue) failed(ctx context.Context, verb string, err error) error {
	if q.closed.Load() {
		return bachata.ErrQueueClosed
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		if ctx.Err() != nil {
			return fmt.Errorf("redis: %s: %w: %w", verb, bachata.ErrUnavailable, ctx.Err())
		}
	}
	return fmt.Errorf("redis: %s: %w: %w", verb, bachata.ErrUnavailable, withoutArgs(err))
}

// Ping asks the server, or every primary of a cluster, whether it is there. The error wraps bachata.ErrUnavailable.
func (q *Queue) Ping(ctx context.Context) error {
	if q.closed.Load() {
		return bachata.ErrQueueClosed
	}
	ctx, cancel := context.WithTimeout(ctx, q.options.Timeout)
	defer cancel()
	if !q.keys.cluster {
		if err := q.client.Do(ctx, q.client.B().Ping().Build()).Error(); err != nil {
			return q.failed(ctx, "ping", err)
		}
		return nil
	}
	where, err := q.locate(ctx)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, address := range where.buckets {
		if seen[address] {
			continue
		}
		seen[address] = true
		node := where.nodes[address]
		if err := node.Do(ctx, node.B().Ping().Build()).Error(); err != nil {
			return q.failed(ctx, "ping "+address, err)
		}
	}
	return nil
}
