package redistest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// Cluster is a Redis Cluster of primaries without replicas.
type Cluster struct {
	Nodes []*Server
	ids   []string
}

// StartCluster runs n primaries that share the slots.
func StartCluster(t testing.TB, n int, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range n {
		s := newServer(t, "server")
		s.args = append([]string{
			"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(s.port + busGap), "--cluster-node-timeout", "2000",
			"--cluster-require-full-coverage", "no",
		}, args...)
		s.Restart()
		c.Nodes = append(c.Nodes, s)
	}
	for i, s := range c.Nodes {
		c.ids = append(c.ids, s.Do("CLUSTER", "MYID"))
		// As redis-cli does it. Nodes that all begin with epoch 0 sort that out while slots move already, and who loses
		// such a slot to an older claim by that deletes its keys.
		s.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		s.Do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*slots/n), strconv.Itoa((i+1)*slots/n-1))
		if i > 0 {
			s.Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(c.Nodes[0].Port()), strconv.Itoa(c.Nodes[0].Port()+busGap))
		}
	}
	Eventually(t, "form the cluster", func() error {
		for _, s := range c.Nodes {
			info := s.Do("CLUSTER", "INFO")
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprint("cluster_known_nodes:", n)) ||
				!strings.Contains(info, fmt.Sprint("cluster_slots_ok:", slots)) {
				return fmt.Errorf("%s: %s", s.Addr(), info)
			}
		}
		return nil
	})
	return c
}

const slots = 1 << 14

// Addrs returns the addresses of the nodes.
func (c *Cluster) Addrs() []string {
	var all []string
	for _, s := range c.Nodes {
		all = append(all, s.Addr())
	}
	return all
}

// Owner returns the number of the node that has slot.
func (c *Cluster) Owner(slot int) int {
	for i, s := range c.Nodes {
		for _, line := range strings.Split(s.Do("CLUSTER", "NODES"), "\n") {
			fields := strings.Fields(line)
			if len(fields) < 9 || !strings.Contains(fields[2], "myself") {
				continue
			}
			for _, r := range fields[8:] {
				first, last, _ := strings.Cut(r, "-")
				a, err := strconv.Atoi(first)
				b, err2 := strconv.Atoi(last)
				if err == nil && err2 != nil {
					b = a
				}
				if err == nil && a <= slot && slot <= b {
					return i
				}
			}
		}
	}
	return -1
}

// Move moves a slot with all its keys to the node with the number to, as redis-cli does it, a key at a time.
func (c *Cluster) Move(slot, to int) {
	if from := c.Owner(slot); from != to {
		c.Begin(slot, to)
		c.Finish(slot, to)
	}
}

// Begin begins to move a slot to the node with the number to. Its keys stay where they are.
func (c *Cluster) Begin(slot, to int) {
	from := c.Owner(slot)
	number := strconv.Itoa(slot)
	c.Nodes[to].Do("CLUSTER", "SETSLOT", number, "IMPORTING", c.ids[from])
	c.Nodes[from].Do("CLUSTER", "SETSLOT", number, "MIGRATING", c.ids[to])
}

// MoveKey moves a key of a slot that is being moved.
func (c *Cluster) MoveKey(slot, to int, key string) {
	c.Nodes[c.Owner(slot)].Do("MIGRATE", "127.0.0.1", strconv.Itoa(c.Nodes[to].Port()), key, "0", "5000")
}

// Finish moves all that is left of a slot, and the slot itself.
func (c *Cluster) Finish(slot, to int) {
	from := c.Owner(slot)
	number := strconv.Itoa(slot)
	for {
		key := c.Nodes[from].Do("CLUSTER", "GETKEYSINSLOT", number, "1")
		if key == "" {
			break
		}
		c.MoveKey(slot, to, key)
	}
	c.Nodes[to].Do("CLUSTER", "SETSLOT", number, "NODE", c.ids[to])
	c.Nodes[from].Do("CLUSTER", "SETSLOT", number, "NODE", c.ids[to])
	for _, s := range c.Nodes {
		_, _ = s.Try("CLUSTER", "SETSLOT", number, "NODE", c.ids[to])
	}
}
