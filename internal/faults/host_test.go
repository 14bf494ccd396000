//go:build linux

package faults_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
	"github.com/bachata-go/bachata/memory"
)

// host is a server in this process, with one node or two, that can be restarted on its queue. Its listeners go on
// meanwhile, and refuse.
type host struct {
	random  *rand.Rand
	onDisk  bool
	plain   bool // the queue shows none of the optional interfaces, and fails now and then
	careful bool // clients do nothing wrong, and nothing is too small
	queue   bachata.QueueOptions
	center  bachata.Options
	handler bachata.Handler
	segment int64
	groups  map[string][]string
	jumps   int // how often the clock may jump

	dir     string
	offset  atomic.Int64 // of the clock
	faulty  atomic.Bool  // a plain queue fails now and then
	servers []*http.Server
	at      []string // their addresses
	trust   *tls.Config
	store   closer
	nodes   []*node
	live    atomic.Pointer[[]*node] // those that serve now; nil while there are none

	restarts, jumped int
}

type closer interface {
	bachata.Queue
	io.Closer
}

// node is one center with its handlers: by Go's poller and by that of the handler.
type node struct {
	center   *bachata.Center
	portable *bachata.Handler
	polled   *bachata.Handler
}

func pick[T any](random *rand.Rand, list ...T) T { return list[random.IntN(len(list))] }

func newHost(t *testing.T, random *rand.Rand) *host {
	t.Helper()
	h := &host{random: random, dir: filepath.Join(t.TempDir(), "queue")}
	h.onDisk = random.IntN(3) > 0
	h.careful = random.IntN(4) == 0
	h.segment = pick[int64](random, 64<<10, 1<<20)
	h.queue = bachata.QueueOptions{
		Simple:        random.IntN(4) == 0,
		DropOldest:    random.IntN(3) == 0,
		InboxMessages: pick(random, 0, 0, 50, 500),
		InboxAge:      time.Minute,
		Receipts:      pick(random, 0, 0, 0, 100),
		Dedupe:        7 * 24 * time.Hour,
		SweepEvery:    pick(random, 50*time.Millisecond, time.Second),
		Now:           func() time.Time { return time.Now().Add(time.Duration(h.offset.Load())) },
	}
	// What was handed out by a plain queue in simple mode and found nobody goes back to the end: there is no order to judge.
	h.plain = random.IntN(3) == 0 && !h.queue.Simple
	if random.IntN(2) == 0 {
		h.jumps = random.IntN(5)
	}
	h.center = bachata.Options{
		Window: pick(random, bachata.Limit{Messages: 1, Bytes: 1}, bachata.Limit{Messages: 5, Bytes: 4000},
			bachata.Limit{Messages: 50, Bytes: 1 << 20}, bachata.Limit{Messages: 1000, Bytes: 4 << 20}),
		WindowTimeout:        pick(random, 100*time.Millisecond, time.Minute),
		CloseOnWindowTimeout: random.IntN(2) == 0,
		RefuseFrom:           random.IntN(4) == 0,
		SweepEvery:           pick(random, 64*time.Millisecond, 500*time.Millisecond),
		BarrierDelay:         pick(random, time.Millisecond, 50*time.Millisecond, time.Second),
	}
	h.handler = bachata.Handler{
		MaxPending:   pick(random, 0, 300<<10),
		WriteTimeout: pick(random, 0, 300*time.Millisecond),
		CloseTimeout: 300 * time.Millisecond,
		PingInterval: pick(random, 0, 50*time.Millisecond),
	}
	if random.IntN(2) == 0 {
		h.handler.Compression = &bachata.Compression{Threshold: pick(random, 1, 512)}
	}
	if h.careful {
		h.queue.InboxMessages, h.center.RefuseFrom = 100_000, false
		h.handler.MaxPending, h.handler.WriteTimeout, h.handler.CloseTimeout = 0, 0, 0
	}
	h.faulty.Store(h.plain && !h.careful && random.IntN(2) == 0)
	t.Cleanup(func() { h.stop(t) })
	h.listen(t)
	return h
}

// String says how the host is set up.
func (h *host) String() string {
	return fmt.Sprintf("disk %v, plain %v, faulty %v, careful %v, simple %v, drop %v, inbox %d, receipts %d, queue sweep %v, jumps %d, window %v, timeout %v %v, sweep %v, barrier %v, pending %d, write %v, ping %v, compression %v",
		h.onDisk, h.plain, h.faulty.Load(), h.careful, h.queue.Simple, h.queue.DropOldest, h.queue.InboxMessages, h.queue.Receipts, h.queue.SweepEvery, h.jumps, h.center.Window, h.center.WindowTimeout,
		h.center.CloseOnWindowTimeout, h.center.SweepEvery, h.center.BarrierDelay, h.handler.MaxPending, h.handler.WriteTimeout, h.handler.PingInterval, h.handler.Compression != nil)
}

// listen starts servers that are polled, portable, polled with TLS, and blocked with TLS, for each of two nodes.
func (h *host) listen(t *testing.T) {
	t.Helper()
	certificate, trust := newCertificate(t)
	h.trust = trust
	for i := range 8 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		s := &http.Server{Handler: http.HandlerFunc(h.serve(i)), ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: 10 * time.Second}
		kind := i % 4
		if kind >= 2 {
			addr = "wss://" + addr
			s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
		}
		if kind == 2 {
			l = bachata.NewListener(l, nil)
			s.TLSConfig = bachata.TLSConfig(s.TLSConfig)
		}
		h.servers, h.at = append(h.servers, s), append(h.at, addr)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if kind >= 2 {
				_ = s.ServeTLS(l, "", "") // until it is closed
			} else {
				_ = s.Serve(l)
			}
		}()
		t.Cleanup(func() {
			_ = s.Close()
			<-ended
		})
	}
}

func newCertificate(t *testing.T) (tls.Certificate, *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(cryptorand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
}

// addrs returns some of the addresses.
func (h *host) addrs(random *rand.Rand) []string {
	var list []string
	for range 4 {
		list = append(list, h.at[random.IntN(len(h.at))])
	}
	return list
}

func (h *host) serve(i int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		nodes := h.live.Load()
		if nodes == nil {
			http.Error(w, "restarting", http.StatusServiceUnavailable)
			return
		}
		n := (*nodes)[i/4%len(*nodes)]
		if i%4 == 1 {
			n.portable.ServeHTTP(w, r)
			return
		}
		n.polled.ServeHTTP(w, r)
	}
}

// start opens the queue, if it isn't open, and has nodes serve it.
func (h *host) start(t *testing.T) {
	t.Helper()
	if h.store == nil {
		h.open(t)
	}
	nodes := 1
	if h.plain || !h.queue.Simple {
		nodes += h.random.IntN(2)
	}
	h.nodes = nil
	for range nodes {
		var q bachata.Queue = h.store
		if h.plain {
			q = &faultyQueue{Queue: h.store, host: h, random: rand.New(rand.NewPCG(h.random.Uint64(), 0))}
		}
		options := h.center
		c := bachata.NewCenter(q, &options)
		group := bachata.Group(func(_ context.Context, name string, _ *bachata.Session) ([]string, error) {
			if members, known := h.groups[name]; known {
				return members, nil
			}
			return nil, &bachata.Refusal{Code: "no_group", Reason: "no such group"}
		}, "group")
		for _, r := range []bachata.Route{bachata.Direct("direct"), group} {
			if err := c.AddRoute(r); err != nil {
				t.Fatal(err)
			}
		}
		n := &node{center: c, polled: h.newHandler(c), portable: h.newHandler(c)}
		n.portable.Portable = true
		h.nodes = append(h.nodes, n)
	}
	live := h.nodes
	h.live.Store(&live)
}

func (h *host) newHandler(c *bachata.Center) *bachata.Handler {
	return &bachata.Handler{
		Center: c,
		Authenticate: func(r *http.Request) (bachata.Identity, error) {
			return bachata.Identity{Channel: r.URL.Query().Get("channel")}, nil
		},
		MaxPending:   h.handler.MaxPending,
		WriteTimeout: h.handler.WriteTimeout,
		CloseTimeout: h.handler.CloseTimeout,
		PingInterval: h.handler.PingInterval,
		Compression:  h.handler.Compression,
	}
}

func (h *host) open(t *testing.T) {
	t.Helper()
	if !h.onDisk {
		h.store = memory.New(&h.queue)
		return
	}
	q, err := disk.Open(h.dir, &disk.Options{QueueOptions: h.queue, SegmentBytes: h.segment})
	if err != nil {
		t.Fatal(err)
	}
	h.store = q
}

// stop drains the nodes. A queue on disk is closed.
func (h *host) stop(t *testing.T) {
	t.Helper()
	for _, n := range h.nodes {
		patience := pick(h.random, 0, 20*time.Millisecond, time.Second)
		if h.careful {
			patience = 30 * time.Second
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if err := n.center.Shutdown(ctx); err != nil && (h.careful || !errors.Is(err, context.DeadlineExceeded)) {
			t.Errorf("shut center down: %v", err)
		}
		cancel()
	}
	h.live.Store(nil)
	for _, n := range h.nodes {
		ctx, cancel := context.WithTimeout(context.Background(), settleTime)
		for _, handler := range []*bachata.Handler{n.polled, n.portable} {
			if err := handler.Shutdown(ctx); err != nil {
				t.Errorf("shut handler down: %v", err)
			}
		}
		cancel()
	}
	h.nodes = nil
	if h.onDisk && h.store != nil {
		if err := h.store.Close(); err != nil {
			t.Errorf("close queue: %v", err)
		}
		h.store = nil
	}
}

func (h *host) restart(t *testing.T) {
	t.Helper()
	h.restarts++
	h.stop(t)
	h.start(t)
}

// jump has the clock of the queue jump ahead, past what is waiting, or not.
func (h *host) jump() {
	h.jumps--
	h.jumped++
	h.offset.Add(int64(between(h.random, 1000, 70_000)))
}

// faultyQueue is a queue without its optional interfaces, which fails now and then: before it does what it is asked to,
// or after.
type faultyQueue struct {
	bachata.Queue
	host *host

	mu     sync.Mutex
	random *rand.Rand
}

// errFault is what it says then.
var errFault = fmt.Errorf("%w: by chance", bachata.ErrUnavailable)

func (q *faultyQueue) fails(one int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.host.faulty.Load() && q.random.IntN(one) == 0
}

// Put fails before or after.
func (q *faultyQueue) Put(ctx context.Context, items []bachata.Item) ([]bachata.PutResult, error) {
	if q.fails(40) {
		return nil, errFault
	}
	results, err := q.Queue.Put(ctx, items)
	if q.fails(40) {
		return nil, errFault
	}
	return results, err
}

// Fetch fails before.
func (q *faultyQueue) Fetch(ctx context.Context, channel string, after bachata.Cursor, limit bachata.Limit) ([]bachata.Envelope, error) {
	if q.fails(40) {
		return nil, errFault
	}
	return q.Queue.Fetch(ctx, channel, after, limit)
}

// PopDelivered fails before or after.
func (q *faultyQueue) PopDelivered(ctx context.Context, channel, by string, keys []bachata.Key) ([]bachata.Popped, error) {
	if q.fails(40) {
		return nil, errFault
	}
	popped, err := q.Queue.PopDelivered(ctx, channel, by, keys)
	if q.fails(40) {
		return nil, errFault
	}
	return popped, err
}

// Watch loses some of the wake-ups.
func (q *faultyQueue) Watch(channel string, wake func(bachata.Wake)) (func(), error) {
	return q.Queue.Watch(channel, func(w bachata.Wake) {
		if !q.fails(40) {
			wake(w)
		}
	})
}
