package redis_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/redis"
)

// nodeEnv has the address of the server, in a process that is a node for TestNodeKilled.
const nodeEnv = "REDIS_TEST_NODE"

var rounds = flag.Int("redis.rounds", 10, "how often TestNodeKilled kills a node")

const (
	upChannel   = "up"   // sent by the node that is killed, received by the one that stays
	downChannel = "down" // the other way round
)

// runNode sends and receives until the process is killed, and says on its standard output what it has done: "A id" for
// an accepted message, "P id" for one that it confirmed. Its standard input is the number of the first message.
func runNode(address string) int {
	ctx := context.Background()
	var first int
	if _, err := fmt.Scan(&first); err != nil {
		return 2
	}
	q, err := redis.Open(ctx, options(strings.Split(address, ",")...))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	wake, _, err := watch(q, downChannel)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		for id := first; ; id++ {
			for {
				if res, err := q.Put(ctx, []bachata.Item{message(upChannel, id)}); err == nil && res[0][0] != bachata.Unavailable {
					break
				}
			}
			fmt.Println("A", id)
			pause(200 * time.Microsecond)
		}
	}()
	for {
		envs, err := q.Fetch(ctx, downChannel, 0, bachata.Limit{Messages: 50})
		if err != nil {
			continue
		}
		for _, e := range envs {
			if p, err := q.PopDelivered(ctx, downChannel, downChannel, []bachata.Key{{Cursor: e.Cursor}}); err == nil && p[0].Found {
				fmt.Println("P", e.ID.Text)
			}
		}
		if len(envs) == 0 {
			<-wake
		}
	}
}

// node is such a process.
type node struct {
	cmd  *exec.Cmd
	done chan struct{}

	mu     sync.Mutex
	next   int   // the id after the last one that was accepted
	popped []int // in their order
	lines  int
}

func (n *node) start(t *testing.T, address string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	first := n.next
	n.mu.Unlock()
	n.cmd = exec.Command(exe)
	n.cmd.Env = append(os.Environ(), nodeEnv+"="+address)
	n.cmd.Stdin = strings.NewReader(strconv.Itoa(first) + "\n")
	n.cmd.Stderr = os.Stderr
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.done = make(chan struct{})
	go func() {
		defer close(n.done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			what, number, _ := strings.Cut(lines.Text(), " ")
			id, err := strconv.Atoi(number)
			if err != nil {
				continue // cut short by the kill
			}
			n.mu.Lock()
			n.lines++
			if what == "A" {
				n.next = id + 1
			} else {
				n.popped = append(n.popped, id)
			}
			n.mu.Unlock()
		}
	}()
}

func (n *node) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lines
}

// kill ends the process with SIGKILL and reads what it had said.
func (n *node) kill() {
	_ = n.cmd.Process.Kill()
	<-n.done
	_ = n.cmd.Wait()
}

// TestNodeKilled kills a node of two with SIGKILL again and again, while both send and receive: nothing that was accepted
// is missing or out of order, and every message that was confirmed has its receipt.
func TestNodeKilled(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"single", "cluster"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var address string
			if kind == "single" {
				address = redistest.Start(t, "--appendonly", "yes").Addr()
			} else {
				address = strings.Join(redistest.StartCluster(t, 3).Addrs(), ",")
			}
			killNode(t, address)
		})
	}
}

func killNode(t *testing.T, address string) {
	q := openQueue(t, options(strings.Split(address, ",")...))
	l := newLoad(t)
	l.senders.Go(func() { l.send(q, downChannel) })
	l.readers.Go(func() { l.read(q, upChannel, l.message) })
	l.readers.Go(func() { l.read(q, "of-"+downChannel, l.receipt) })
	l.readers.Go(func() { l.read(q, "of-"+upChannel, l.receipt) })

	var n node
	for range *rounds {
		before := n.count()
		n.start(t, address)
		redistest.Eventually(t, "the node works", func() error {
			if got := n.count() - before; got < 60 {
				return fmt.Errorf("%d lines", got)
			}
			return nil
		})
		n.kill()
	}
	l.mu.Lock()
	l.accepted[upChannel] = n.next
	for _, id := range n.popped {
		if got := l.got[downChannel]; len(got) > 0 && id <= got[len(got)-1] {
			l.problems = append(l.problems, fmt.Sprintf("the node received %d after %d", id, got[len(got)-1]))
		}
		l.got[downChannel] = append(l.got[downChannel], id)
	}
	l.mu.Unlock()
	// What the node took and did not live to say has its receipt; what it did not take is still there.
	l.readers.Go(func() { l.read(q, downChannel, l.rest) })
	l.stopped.Store(true)
	l.senders.Wait()
	redistest.Eventually(t, "all receipts", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, channel := range []string{upChannel, downChannel} {
			for id := range l.accepted[channel] {
				if l.receipts[fmt.Sprint(channel, " ", id)] == "" {
					return fmt.Errorf("%s: %d of %d was accepted and has no receipt", channel, id, l.accepted[channel])
				}
			}
		}
		if n := len(l.got[upChannel]); n < l.accepted[upChannel] {
			return fmt.Errorf("%d of %d messages of the node have arrived", n, l.accepted[upChannel])
		}
		return nil
	})
	l.end()
	for _, p := range l.problems {
		t.Error(p)
	}
	t.Logf("%d rounds, %d messages of the node and %d to it accepted", *rounds, l.accepted[upChannel], l.accepted[downChannel])
}

// rest is for what the node left behind.
func (l *load) rest(string, bachata.Envelope) {}
