// Package client is a small chat client that records what it sends and sees. It does what PROTOCOL.md asks of a client,
// "What a client must do": it connects again by itself, sends again what was not answered, in order and with the same id,
// confirms what it is given, and drops what it has seen before.
package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/bachata-go/bachata/internal/faults/history"
)

// ErrClosed is returned for what a client that is closed is asked to do.
var ErrClosed = errors.New("client: closed")

// Options configure a Client. Required are Addr, Channel and Recorder.
type Options struct {
	Addr string // of the server, host:port
	// More are the addresses of other nodes with the same queue: the sockets take one after the other, after Addr.
	More []string
	// Roam has a socket whose connection ended go to the next node, as behind a balancer. Without it each stays with its own.
	Roam     bool
	Channel  string // also the client's shown name
	Recorder *history.Recorder
	// Sockets is how many connections the client holds to its channel, as one application. It sends on one of them at a
	// time. Default 1.
	Sockets int
	// Unanswered is how many messages may wait for an answer before Send waits too. Default 256.
	Unanswered int
	// ReadBuffer is the size of the first connection's receive buffer in bytes; those after it have the system's, as has
	// the first by default. Through a small one next to nothing comes: the loopback sends 64 KiB at a time or waits.
	ReadBuffer int
	// TLS is for the addresses that begin with "wss://"; the others are reached in plain.
	TLS *tls.Config
	// Compress offers compression, and compresses some of what is sent if the server agrees.
	Compress bool
	// Groups are the members of the names that are no channels. What is sent to one is meant for all of them but the client.
	Groups map[string][]string
	// Named has every 200 say whose message it means.
	Named bool
	// Careless has the client forget confirmations for a while, send them twice or late, and send frames in pieces, until Behave.
	Careless bool
	// Seed makes the client's choices: which form its ids and confirmations have, how long it waits to reconnect.
	Seed uint64
}

// Client is one application on one channel. Its methods may be called concurrently.
type Client struct {
	options Options
	dialer  net.Dialer
	done    context.Context
	cancel  context.CancelFunc
	ended   sync.WaitGroup
	gate    gate // of what it reads

	mu       sync.Mutex
	random   *rand.Rand
	conns    map[*conn]bool // those that have been told 1000
	primary  *conn          // the one to send on, nil if none is open
	dialed   int
	sent     int
	pending  []*outgoing // not answered, in the order of their first sending
	byID     map[string]*outgoing
	retry    *time.Timer // runs while something was refused as unavailable
	holding  bool        // nothing is confirmed
	careless bool
	past     []note // what was given to a careless client lately, confirmed or not
	forgot   []note // what it has not confirmed
	backoff  time.Duration
	seen     map[key]bool
	told     map[receipt]bool
	refused  map[string]string // id to the code with which it was refused for good
	refusals map[string]int    // by code
	reasons  map[string]string // the last that came with each code
	changed  chan struct{}     // closed when something changed that a waiter may wait for
	waiters  bool
}

type (
	key     struct{ from, id string }
	receipt struct{ id, from string }
)

// outgoing is a message that waits for its answer.
type outgoing struct {
	id   string
	dest string
	to   []string // whom it is meant for, if dest is no channel
	text []byte
	sum  uint32
	size int
	late bool // it was refused as unavailable, and is to be sent again
}

// New starts a client. It connects until Close.
func New(o Options) *Client {
	o.Sockets = max(o.Sockets, 1)
	if o.Unanswered <= 0 {
		o.Unanswered = 256
	}
	c := &Client{
		options:  o,
		random:   rand.New(rand.NewPCG(o.Seed, 0)),
		conns:    make(map[*conn]bool),
		byID:     make(map[string]*outgoing),
		seen:     make(map[key]bool),
		told:     make(map[receipt]bool),
		refused:  make(map[string]string),
		refusals: make(map[string]int),
		careless: o.Careless,
		reasons:  make(map[string]string),
		changed:  make(chan struct{}),
	}
	c.dialer.Timeout = 5 * time.Second
	c.done, c.cancel = context.WithCancel(context.Background())
	c.gate.init()
	nodes := append([]string{o.Addr}, o.More...)
	for i := range o.Sockets {
		c.ended.Go(func() { c.keepConnected(nodes, i) })
	}
	return c
}

// Send sends a message with data, which is JSON, to dest and returns its id. It waits while too much is unanswered; the
// answer itself it does not wait for.
func (c *Client) Send(ctx context.Context, dest string, data []byte) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.wait(ctx, func() bool { return len(c.pending) < c.options.Unanswered }); err != nil {
		return "", err
	}
	return c.send(dest, data).id, nil
}

// send makes a message and sends it, if a connection is open. Every client counts its ids from 1, so that those of
// different senders are the same.
func (c *Client) send(dest string, data []byte) *outgoing {
	c.sent++
	m := &outgoing{id: fmt.Sprint(c.sent), dest: dest, sum: crc32.ChecksumIEEE(data), size: len(data)}
	spelled := fmt.Sprintf("%q", m.id)
	if c.random.IntN(3) == 0 {
		spelled = m.id
	}
	liar := ""
	if c.random.IntN(8) == 0 {
		liar = `"from":"somebody else",`
	}
	kind := "direct"
	if members := c.options.Groups[dest]; members != nil {
		kind = "group"
		m.to = slices.DeleteFunc(slices.Clone(members), func(channel string) bool { return channel == c.options.Channel })
	}
	m.text = fmt.Appendf(nil, `{"id":%s,"type":%q,%s"dest":%q,"data":%s}`, spelled, kind, liar, dest, data)
	c.pending = append(c.pending, m)
	c.byID[m.id] = m
	c.write(m)
	if c.random.IntN(16) == 0 {
		c.write(m) // for no reason, as a client may
	}
	return m
}

// write hands m to the connection to send on, if there is one.
func (c *Client) write(m *outgoing) {
	if c.primary == nil {
		return
	}
	m.late = false
	c.options.Recorder.Record(history.Event{Kind: history.Send, Conn: c.primary.number, ID: m.id, Dest: m.dest, To: m.to, Sum: m.sum, Size: m.size})
	c.say(c.primary, m.text)
}

// answered forgets the message of id: it was accepted, or refused for good.
func (c *Client) answered(id string) {
	m := c.byID[id]
	if m == nil {
		return
	}
	delete(c.byID, id)
	for i, p := range c.pending {
		if p == m {
			c.pending = append(c.pending[:i], c.pending[i+1:]...)
			break
		}
	}
	c.notify()
}

const retryAfter = 50 * time.Millisecond

// late has the message of id sent again after a while, with all others that were refused so, in order.
func (c *Client) late(id string) {
	m := c.byID[id]
	if m == nil {
		return
	}
	m.late = true
	if c.retry != nil {
		return
	}
	c.retry = time.AfterFunc(retryAfter, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.retry = nil
		if c.done.Err() != nil {
			return
		}
		for _, p := range c.pending {
			if p.late {
				c.write(p)
			}
		}
	})
}

// Answered waits until every message was accepted or refused for good.
func (c *Client) Answered(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wait(ctx, func() bool { return len(c.pending) == 0 })
}

// Mark sends a message to the client's own channel and waits until it came, and its receipt. By then everything that
// waited in the inbox before has come too, and what was confirmed before is off the inbox. While the inbox is full, it
// sends another one.
func (c *Client) Mark(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		id, err := c.mark(ctx)
		if err != nil {
			return err
		}
		if c.refused[id] == "" && c.seen[key{c.options.Channel, id}] {
			return nil
		}
		if err := c.wait(ctx, c.after(retryAfter)); err != nil {
			return err
		}
	}
}

// after returns what is true from some time on.
func (c *Client) after(d time.Duration) func() bool {
	over := false
	time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		over = true
		c.notify()
	})
	return func() bool { return over }
}

// mark sends one mark and waits until it came, or is known to never come.
func (c *Client) mark(ctx context.Context) (string, error) {
	id := c.send(c.options.Channel, []byte(`"mark"`)).id
	err := c.wait(ctx, func() bool {
		return c.refused[id] != "" || c.told[receipt{id, c.options.Channel}] && c.byID[id] == nil
	})
	if err != nil {
		return id, fmt.Errorf("mark %q of %q (seen %v, receipt %v, answered %v): %w", id, c.options.Channel,
			c.seen[key{c.options.Channel, id}], c.told[receipt{id, c.options.Channel}], c.byID[id] == nil, err)
	}
	return id, nil
}

// Quiet records that nothing is open any more.
func (c *Client) Quiet() { c.options.Recorder.Record(history.Event{Kind: history.Quiet}) }

// Close ends the client, without a closing handshake, and waits until it has ended. It may be called twice.
func (c *Client) Close() {
	c.cancel()
	c.gate.open()
	c.Reconnect()
	c.mu.Lock()
	if c.retry != nil {
		c.retry.Stop()
	}
	c.notify()
	c.mu.Unlock()
	c.ended.Wait()
}

// wait waits until ok. The caller holds c.mu, and ok is called with it held.
func (c *Client) wait(ctx context.Context, ok func() bool) error {
	for !ok() {
		if c.done.Err() != nil {
			return ErrClosed
		}
		c.waiters = true
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			c.mu.Lock()
			return ctx.Err()
		}
		c.mu.Lock()
	}
	return nil
}

// notify wakes whoever waits. The caller holds c.mu.
func (c *Client) notify() {
	if c.waiters {
		c.waiters = false
		close(c.changed)
		c.changed = make(chan struct{})
	}
}
