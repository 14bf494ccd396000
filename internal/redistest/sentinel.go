package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Replicated is a primary with a replica, and sentinels that make the replica the primary if that fails.
type Replicated struct {
	Primary, Replica *Server
	Sentinels        []*Server
}

// StartReplica runs a server that follows primary.
func StartReplica(t testing.TB, primary *Server, args ...string) *Server {
	t.Helper()
	r := Start(t, append([]string{"--replicaof", "127.0.0.1 " + strconv.Itoa(primary.Port())}, args...)...)
	r.eventually("follow", func() error {
		if info := r.Do("INFO", "replication"); !strings.Contains(info, "master_link_status:up") {
			return fmt.Errorf("not yet: %s", info)
		}
		if info := primary.Do("INFO", "replication"); !strings.Contains(info, fmt.Sprintf("port=%d,state=online", r.Port())) {
			return fmt.Errorf("not yet, as its primary says: %s", info)
		}
		return nil
	})
	return r
}

// MasterSet is the name under which the sentinels know the primary.
const MasterSet = "bachata"

// StartSentinel runs a primary, a replica and three sentinels.
func StartSentinel(t testing.TB, args ...string) *Replicated {
	t.Helper()
	r := &Replicated{Primary: Start(t, args...)}
	r.Replica = StartReplica(t, r.Primary, args...)
	for range 3 {
		s := newServer(t, "sentinel")
		conf := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor %s 127.0.0.1 %d 2\n"+
			"sentinel down-after-milliseconds %s 500\nsentinel failover-timeout %s 2000\n",
			s.port, s.dir, MasterSet, r.Primary.Port(), MasterSet, MasterSet)
		if err := os.WriteFile(filepath.Join(s.dir, "sentinel.conf"), []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Restart()
		r.Sentinels = append(r.Sentinels, s)
	}
	Eventually(t, "let the sentinels find each other", func() error {
		for _, s := range r.Sentinels {
			if info := s.Do("INFO", "sentinel"); !strings.Contains(info, "slaves=1,sentinels=3") {
				return fmt.Errorf("%s", info)
			}
		}
		return nil
	})
	return r
}

// Addrs returns the addresses of the sentinels.
func (r *Replicated) Addrs() []string {
	var all []string
	for _, s := range r.Sentinels {
		all = append(all, s.Addr())
	}
	return all
}
