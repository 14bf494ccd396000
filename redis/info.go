package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata"
)

// level is what the server says of how safe it keeps what it has.
type level struct {
	version  string
	valkey   bool
	aof      bool
	fsync    string // appendfsync
	snapshot bool   // it saves to a file now and then
	replicas int
	policy   string // maxmemory-policy
	maximum  bool   // maxmemory is set
	unread   bool   // the server does not tell (CONFIG is forbidden)
	replica  bool   // it is one itself
	away     string // what of a cluster is not there
}

// Info is bachata.Queue's. The level is what the server said when it was asked last, at most a minute ago.
func (q *Queue) Info() bachata.Info {
	info := bachata.Info{Name: "redis", Durable: true, Atomic: !q.keys.cluster, Dedupe: q.window()}
	if q.limits.Simple {
		info.Mode, info.Dedupe = bachata.Simple, 0
	}
	l := q.level.Load()
	info.Level = l.sentence(q.options.Wait)
	return info
}

// window returns for how long ids are remembered now.
func (q *Queue) window() time.Duration {
	w := q.limits.Window
	if forgot := q.forgot.Load(); forgot > 0 {
		w = max(0, min(w, q.now()-forgot))
	}
	return time.Duration(w) * time.Millisecond
}

const noEviction = "noeviction"

// sentence says what accepted messages survive.
func (l *level) sentence(wait int) string {
	var s string
	switch {
	case l.unread:
		s = "as safe as the Redis server is configured, which it does not tell"
	case l.aof && l.fsync == "always":
		s = "Redis, appendfsync always: survives kill -9 and power loss of its host"
	case l.aof && l.fsync == "everysec":
		s = "Redis, appendfsync everysec: survives kill -9 of the server, but for two seconds if its disk is busy; about the last second is lost with its host, three at most"
	case l.aof:
		s = "Redis, appendfsync no: survives kill -9 of the server; what the kernel had not written is lost with its host"
	case l.snapshot:
		s = "Redis in memory with snapshots: what came after the last snapshot is lost when the server ends"
	default:
		s = "Redis in memory: lost when the server ends"
	}
	switch {
	case l.away != "":
		s += "; not everything is accepted now: " + l.away
	case l.replica:
		s += "; nothing is accepted now: the server is a replica"
	case wait > l.replicas:
		s += fmt.Sprintf("; nothing is accepted now: %s must have it too, the server has %s", replicasOf(wait), replicasOf(l.replicas))
	case wait > 0:
		s += fmt.Sprintf("; accepted when %d of %s has it too", wait, replicasOf(l.replicas))
	case l.replicas > 0:
		s += fmt.Sprintf("; a failover can lose what %s had not got yet", replicasOf(l.replicas))
	}
	return s
}

func replicasOf(n int) string {
	switch n {
	case 0:
		return "no replica"
	case 1:
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", n)
}

// warnings says what about the server an operator should change.
func (l *level) warnings(wait int) []string {
	var all []string
	if l.policy != "" && l.policy != noEviction {
		all = append(all, fmt.Sprintf("maxmemory-policy is %q: the server may throw accepted messages away, set it to noeviction", l.policy))
	}
	if l.away != "" {
		all = append(all, fmt.Sprintf("the cluster is not complete, %s: what needs it is refused, with cluster-require-full-coverage all is", l.away))
	}
	if l.replica {
		all = append(all, "the server is a replica: nothing will be accepted, name its primary")
	} else if wait > l.replicas && !l.unread {
		all = append(all, fmt.Sprintf("wait is %d, the server has %s: nothing will be accepted", wait, replicasOf(l.replicas)))
	}
	return all
}

// readLevel asks the server, and in a cluster all primaries: the weakest counts.
func (q *Queue) readLevel(ctx context.Context) error {
	var mu sync.Mutex
	var weakest *level
	var failed error
	var silent []string
	nodes := q.client.Nodes()
	err := q.eachNode(ctx, func(ctx context.Context, address string, node rueidis.Client) error {
		l, primary, err := readNode(ctx, node)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			failed = fmt.Errorf("redis: ask %s for its configuration: %w: %w", address, bachata.ErrUnavailable, err)
			silent = append(silent, address)
		case primary || len(nodes) == 1:
			if err := l.supported(); err != nil {
				return err
			}
			weakest = l.least(weakest)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case weakest == nil && failed == nil:
		return fmt.Errorf("redis: no primary: %w", bachata.ErrUnavailable)
	case weakest == nil:
		return failed
	case q.keys.cluster:
		weakest.away = q.away(ctx, silent)
	}
	if old := q.level.Swap(weakest); old == nil || *old != *weakest {
		for _, w := range weakest.warnings(q.options.Wait) {
			q.log.Warn("redis: " + w)
		}
	}
	return nil
}

// away says what of a cluster is not there, given who has not answered; they may be replicas.
func (q *Queue) away(ctx context.Context, silent []string) string {
	where, err := q.locate(ctx)
	if errors.Is(err, errNobody) {
		return "some slots have no primary"
	}
	slices.Sort(silent)
	for _, address := range silent {
		if err != nil || slices.Contains(where.buckets, address) {
			return "the primary at " + address + " does not answer"
		}
	}
	return ""
}

// eachNode calls ask for all nodes at once, so that one that is silent keeps none of the others waiting, and returns the first
// error.
func (q *Queue) eachNode(ctx context.Context, ask func(ctx context.Context, address string, node rueidis.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, q.options.Timeout)
	defer cancel()
	var failed firstError
	var asked sync.WaitGroup
	for address, node := range q.client.Nodes() {
		asked.Go(func() { failed.note(ask(ctx, address, node)) })
	}
	asked.Wait()
	return failed.err
}

var errSentinel = errors.New("it is a Sentinel")

func readNode(ctx context.Context, node rueidis.Client) (l *level, primary bool, err error) {
	info, err := node.Do(ctx, node.B().Info().Build()).ToString()
	if err != nil {
		return nil, false, err
	}
	fields := map[string]string{}
	for _, line := range strings.Split(info, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			fields[name] = value
		}
	}
	if fields["redis_mode"] == "sentinel" {
		return nil, false, errSentinel
	}
	l = &level{version: fields["redis_version"], aof: fields["aof_enabled"] == "1", policy: fields["maxmemory_policy"]}
	if v := fields["valkey_version"]; v != "" {
		l.version, l.valkey = v, true
	}
	l.replicas = replicasOnline(fields)
	l.maximum = fields["maxmemory"] != "0"
	config, err := node.Do(ctx, node.B().ConfigGet().Parameter("appendonly", "appendfsync", "save").Build()).AsStrMap()
	if err != nil {
		if _, ok := rueidis.IsRedisErr(err); !ok {
			return nil, false, err
		}
		l.unread = true // hosted servers forbid CONFIG
	}
	if v, ok := config["appendonly"]; ok {
		l.aof = v == "yes" // aof_enabled is 0 while the server reads that file
	}
	l.fsync, l.snapshot = config["appendfsync"], config["save"] != ""
	l.replica = fields["role"] != "master"
	return l, !l.replica, nil
}

// replicasOnline counts the replicas that follow, of what INFO says: one that is just being sent everything confirms nothing.
func replicasOnline(fields map[string]string) int {
	connected, _ := strconv.Atoi(fields["connected_slaves"])
	online := 0
	for i := range connected {
		replica, ok := fields["slave"+strconv.Itoa(i)]
		if !ok || strings.Contains(replica, "state=online") { // a hosted server may not tell
			online++
		}
	}
	return online
}

// supported returns an error if the server is too old.
func (l *level) supported() error {
	major, rest, _ := strings.Cut(l.version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, _ := strconv.Atoi(major)
	b, _ := strconv.Atoi(minor)
	name, least := "Redis", 700
	if l.valkey {
		name, least = "Valkey", 702
	}
	if a*100+b < least {
		return fmt.Errorf("redis: the server is %s %s, must be %d.%d or later", name, l.version, least/100, least%100)
	}
	return nil
}

// waitAOF reports whether the server can tell when it and its replicas have written to disk.
func (l *level) waitAOF() bool {
	if !l.aof || l.fsync == "no" {
		return false
	}
	major, rest, _ := strings.Cut(l.version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, _ := strconv.Atoi(major)
	b, _ := strconv.Atoi(minor)
	return a*100+b >= 702
}

// least returns what two primaries promise together; the other may be nil.
func (l *level) least(other *level) *level {
	if other == nil {
		return l
	}
	weak, strong := *l, other
	if other.rank() < l.rank() {
		weak, strong = *other, l
	}
	weak.replicas = min(weak.replicas, strong.replicas)
	if weak.policy == noEviction {
		weak.policy = strong.policy
	}
	return &weak
}

// rank orders levels by what they survive.
func (l *level) rank() int {
	switch {
	case l.unread:
		return 0
	case l.aof && l.fsync == "always":
		return 5
	case l.aof && l.fsync == "everysec":
		return 4
	case l.aof:
		return 3
	case l.snapshot:
		return 2
	}
	return 1
}
