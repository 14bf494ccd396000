package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/redis/rueidis"
)

// places says which primary has which bucket.
type places struct {
	nodes   map[string]rueidis.Client
	buckets []string // addresses; empty if there is only one place
}

// only is the address of the one place that is no cluster.
const only = "primary"

func (p *places) address(bucket int) string {
	if p.buckets == nil {
		return only
	}
	return p.buckets[bucket]
}

// locate asks the cluster who has what.
func (q *Queue) locate(ctx context.Context) (*places, error) {
	if !q.keys.cluster {
		return &places{nodes: map[string]rueidis.Client{only: q.client}}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, q.options.Timeout)
	defer cancel()
	p := &places{nodes: q.client.Nodes(), buckets: make([]string, buckets)}
	owners, err := q.slotOwners(ctx, q.client, "")
	if err == nil && slices.ContainsFunc(owners, func(o slotRange) bool { return o.host == "" }) {
		for address, node := range p.nodes { // an empty host means that of who was asked
			host, _, _ := net.SplitHostPort(address)
			if owners, err = q.slotOwners(ctx, node, host); err == nil {
				break
			}
		}
	}
	if err != nil {
		return nil, q.failed(ctx, "locate slots", err)
	}
	for b, slot := range bucketSlots() {
		i := slices.IndexFunc(owners, func(o slotRange) bool { return o.first <= int64(slot) && int64(slot) <= o.last })
		if i < 0 || p.nodes[owners[i].address()] == nil {
			return nil, q.failed(ctx, "locate slots", fmt.Errorf("%w %d", errNobody, b))
		}
		p.buckets[b] = owners[i].address()
	}
	return p, nil
}

// slotRange says which primary has the slots from first to last.
type slotRange struct {
	first, last int64
	host        string
	port        int64
}

func (r *slotRange) address() string { return net.JoinHostPort(r.host, strconv.FormatInt(r.port, 10)) }

// slotOwners asks a server who has what. host takes the place of an empty one.
func (q *Queue) slotOwners(ctx context.Context, server rueidis.Client, host string) ([]slotRange, error) {
	ranges, err := server.Do(ctx, server.B().ClusterSlots().Build()).ToArray()
	if err != nil {
		return nil, err
	}
	var owners []slotRange
	for _, r := range ranges {
		part, err := r.ToArray()
		if err != nil || len(part) < 3 {
			return nil, errReply
		}
		node, err := part[2].ToArray()
		if err != nil || len(node) < 2 {
			return nil, errReply
		}
		o := slotRange{host: cmp.Or(text(node[0]), host)}
		o.first, _ = part[0].AsInt64()
		o.last, _ = part[1].AsInt64()
		o.port, _ = node[1].AsInt64()
		owners = append(owners, o)
	}
	return owners, nil
}

var errNobody = errors.New("nobody known has bucket")

// bucketSlots returns the slots of all buckets.
var bucketSlots = sync.OnceValue(func() []int {
	slots := make([]int, buckets)
	for b := range slots {
		slots[b] = slotOf(strconv.Itoa(b))
	}
	return slots
})

// slotOf returns the slot of a hash tag: its CRC-16 (XMODEM), as Redis Cluster counts.
func slotOf(tag string) int {
	crc := uint16(0)
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) & (1<<14 - 1)
}
