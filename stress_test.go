package bachata_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
)

// TestRandomFaults has three users with two sockets each write to each other while connections break and the queue fails
// now and then, and holds what they saw against I1 to I6.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			o := &bachata.Options{Window: bachata.Limit{Messages: 3, Bytes: 4000}}
			bubble(t, o, func(t *testing.T, c *bachata.Center, q *faultyQueue) {
				newChaos(t, c, q, rand.New(rand.NewPCG(seed, 7))).run()
			})
		})
	}
}

type chaos struct {
	t     *testing.T
	c     *bachata.Center
	q     *faultyQueue
	rng   *rand.Rand
	users []*user
	sent  int
}

// user is a client with memory: what it sent, what it was answered, what its application saw.
type user struct {
	name     string
	sockets  []*peer
	open     []string            // sent, not answered by 100
	messages map[string]string   // id to text
	accepted map[string][]string // dest to ids in the order of their first 100
	known    map[string]bool     // ids that were accepted
	seen     map[string][]string // from to ids in the order in which they came first
	ticks    map[string]bool     // ids with a 300
}

func newChaos(t *testing.T, c *bachata.Center, q *faultyQueue, rng *rand.Rand) *chaos {
	x := &chaos{t: t, c: c, q: q, rng: rng}
	for _, name := range []string{"anna", "bob", "carl"} {
		x.users = append(x.users, &user{
			name: name, sockets: make([]*peer, 2), messages: map[string]string{}, accepted: map[string][]string{},
			known: map[string]bool{}, seen: map[string][]string{}, ticks: map[string]bool{},
		})
	}
	return x
}

func (x *chaos) run() {
	for range 400 {
		x.faults()
		u := x.users[x.rng.IntN(len(x.users))]
		i := x.rng.IntN(len(u.sockets))
		switch x.rng.IntN(8) {
		case 0:
			if u.sockets[i] != nil {
				u.sockets[i].session.Detach()
				u.sockets[i] = nil
			}
		case 1, 2, 3:
			x.send(u, i)
		default:
			x.read(u, i, x.rng.IntN(3) > 0)
		}
		if x.rng.IntN(10) == 0 {
			time.Sleep(time.Duration(x.rng.IntN(3000)) * time.Millisecond)
		}
	}
	x.settle()
	x.check()
}

func (x *chaos) faults() {
	for _, fault := range []interface{ Store(bool) }{&x.q.putFails, &x.q.popFails, &x.q.fetchFails, &x.q.loseWakes} {
		if x.rng.IntN(10) == 0 {
			fault.Store(x.rng.IntN(3) == 0)
		}
	}
}

// socket returns u's socket i, connected.
func (x *chaos) socket(u *user, i int) *peer {
	if u.sockets[i] == nil {
		u.sockets[i] = attach(x.t, x.c, bachata.Identity{Channel: u.name})
	}
	return u.sockets[i]
}

// send sends what is unanswered again, in order, and something new.
func (x *chaos) send(u *user, i int) {
	p := x.socket(u, i)
	for range 1 + x.rng.IntN(3) {
		x.sent++
		id, dest := fmt.Sprint(x.sent), x.users[x.rng.IntN(len(x.users))].name
		u.messages[id] = fmt.Sprintf(`{"id":%q,"type":"direct","dest":%q}`, id, dest)
		u.open = append(u.open, id)
	}
	var texts []string
	for _, id := range u.open {
		texts = append(texts, u.messages[id])
	}
	p.send(texts...)
}

// read takes what came to a socket, and confirms it or not.
func (x *chaos) read(u *user, i int, confirm bool) {
	p := x.socket(u, i)
	var confirms []string
	ping := p.lastPing() // what it proves is taken too
	for _, text := range p.take() {
		var f struct {
			ID, Type, Data any
			From, Dest     string
		}
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			x.t.Fatal(err)
		}
		id, _ := f.Data.(string)
		switch f.Type {
		case "direct":
			id := f.ID.(string)
			if !slices.Contains(u.seen[f.From], id) {
				u.seen[f.From] = append(u.seen[f.From], id)
			}
			confirms = append(confirms, fmt.Sprintf(`{"type":200,"data":%q,"from":%q}`, id, f.From))
		case 100.0:
			x.acceptedBy(u, id)
		case 300.0:
			if !slices.Contains(x.user(f.From).seen[u.name], id) {
				x.t.Fatalf("I5: %s was told that %s has %s, which it has not", u.name, f.From, id)
			}
			x.acceptedBy(u, id)
			u.ticks[id] = true
		}
	}
	if outstanding := len(confirms); outstanding > 3 && confirm {
		confirms = confirms[:x.rng.IntN(outstanding)+1]
	}
	if confirm && len(confirms) > 0 {
		p.send(confirms...)
	}
	if ping != "" && confirm {
		p.session.Pong([]byte(ping))
	}
}

func (x *chaos) user(name string) *user {
	return x.users[slices.IndexFunc(x.users, func(u *user) bool { return u.name == name })]
}

func (x *chaos) acceptedBy(u *user, id string) {
	u.open = slices.DeleteFunc(u.open, func(o string) bool { return o == id })
	if u.known[id] {
		return
	}
	u.known[id] = true
	var m struct{ Dest string }
	if err := json.Unmarshal([]byte(u.messages[id]), &m); err != nil {
		x.t.Fatal(err)
	}
	u.accepted[m.Dest] = append(u.accepted[m.Dest], id)
}

// settle ends the faults and lets everybody read until nothing comes any more.
func (x *chaos) settle() {
	for _, fault := range []interface{ Store(bool) }{&x.q.putFails, &x.q.popFails, &x.q.fetchFails, &x.q.loseWakes} {
		fault.Store(false)
	}
	for _, u := range x.users {
		for i, p := range u.sockets {
			if p != nil {
				x.read(u, i, true)
				p.session.Detach()
				u.sockets[i] = nil
			}
		}
	}
	for range 200 {
		for _, u := range x.users {
			p := x.socket(u, 0)
			if len(u.open) > 0 {
				var texts []string
				for _, id := range u.open {
					texts = append(texts, u.messages[id])
				}
				p.send(texts...)
			}
			x.read(u, 0, true)
		}
		time.Sleep(2 * time.Second)
	}
}

func (x *chaos) check() {
	total := 0
	for _, u := range x.users {
		if len(u.open) > 0 {
			x.t.Errorf("I1: %s was never answered for %v", u.name, u.open)
		}
		for dest, ids := range u.accepted {
			total += len(ids)
			if got := x.user(dest).seen[u.name]; !slices.Equal(got, ids) {
				x.t.Errorf("I1, I4: %s to %s: accepted %v, seen %v", u.name, dest, ids, got)
			}
			for _, id := range ids {
				if !u.ticks[id] {
					x.t.Errorf("I5: %s has no 300 for %s", u.name, id)
				}
			}
		}
	}
	if total < 50 {
		x.t.Errorf("only %d messages were accepted: the test shows little", total)
	}
	for _, u := range x.users {
		left, err := x.q.Fetch(x.t.Context(), u.name, 0, bachata.Limit{})
		if err != nil || len(left) != 0 {
			x.t.Errorf("the inbox of %s still holds %d entries (%v)", u.name, len(left), err)
		}
	}
}
