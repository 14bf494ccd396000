package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/bachata-go/bachata"
)

// Options configure a Queue. The zero value of everything but Addresses is useful.
//
// Of the embedded QueueOptions all hold for the whole store, not for one node: nodes that share a server should have
// the same. SweepEvery is how often this node looks for what has expired anywhere, and for what wake-ups may have missed.
// DedupeCap counts all remembered ids, with those of messages that are still pending; one costs about 120 bytes of the
// server's memory. Now stamps what is put; the clocks of nodes should agree within seconds.
type Options struct {
	bachata.QueueOptions

	// Addresses are host:port of the server, of the sentinels (with Sentinel), or of nodes of the cluster. At least one.
	Addresses []string
	// Sentinel is the name of the master that the sentinels at Addresses watch. Empty: no Sentinel.
	Sentinel string
	// Cluster says that the server is a cluster. It is found out without it; it makes Open fail if it is none.
	Cluster bool
	// Username and Password, if the server wants them. They go into no error and no log.
	Username, Password string
	// SentinelUsername and SentinelPassword, if the sentinels want them.
	SentinelUsername, SentinelPassword string
	// DB is the number of the database. A cluster has only 0.
	DB int
	// TLS is set for an encrypted connection.
	TLS *tls.Config

	// Prefix stands before every key, and before the name of everything that is published. It must not have braces.
	Prefix string
	// Shared says that nodes of the original Bachata use the same server: everything is spelled as they would, and what
	// they push is found by looking at the lists of watched channels every PollEvery (KEYS.md, "Shared"). Not on a cluster,
	// not with DropOldest; InboxBytes is not counted.
	Shared bool
	// PollEvery is how often that is. Default 250 ms.
	PollEvery time.Duration

	// Wait is how many replicas must have a put before it is accepted. Where the server has WAITAOF (Redis 7.2) and its
	// append-only file is on, they and the server must have written it to disk, and a replica that keeps no such file is not
	// counted. Default 0.
	Wait int
	// WaitTimeout is how long replicas may take, after which the put is refused as unavailable. Default 2 s.
	WaitTimeout time.Duration
	// Timeout is how long the server may take to answer, and a connection to be made. Default 5 s.
	Timeout time.Duration

	many int // as manyInboxes, which is the default; set by tests
}

// withDefaults checks o and fills it in.
func (o Options) withDefaults() (Options, error) {
	if len(o.Addresses) == 0 {
		return o, errors.New("redis: no address")
	}
	if o.Wait < 0 {
		return o, fmt.Errorf("redis: Wait is %d, must not be negative", o.Wait)
	}
	if o.DB < 0 {
		return o, fmt.Errorf("redis: DB is %d, must not be negative", o.DB)
	}
	for _, c := range o.Prefix {
		if c == '{' || c == '}' {
			return o, fmt.Errorf("redis: Prefix is %q, must not have braces", o.Prefix)
		}
	}
	switch {
	case o.Cluster && o.DB != 0:
		return o, errors.New("redis: a cluster has only database 0")
	case o.Cluster && o.Sentinel != "":
		return o, errors.New("redis: a cluster has no Sentinel")
	case o.Cluster && o.Shared:
		return o, errors.New("redis: nodes of the original can't use a cluster, Shared is not possible")
	case o.Shared && o.DropOldest:
		return o, errors.New("redis: DropOldest is not possible with Shared: nodes of the original know nothing of gaps")
	}
	for _, d := range []struct {
		field string
		v     *time.Duration
		def   time.Duration
	}{
		{"PollEvery", &o.PollEvery, 250 * time.Millisecond},
		{"WaitTimeout", &o.WaitTimeout, 2 * time.Second},
		{"Timeout", &o.Timeout, 5 * time.Second},
	} {
		if *d.v == 0 {
			*d.v = d.def
		}
		if *d.v < time.Millisecond { // the server counts milliseconds, and waits for ever for none
			return o, fmt.Errorf("redis: %s is %v, must be at least 1ms", d.field, *d.v)
		}
	}
	return o, nil
}
