package redis_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/redis"
)

// contents tells all that a server holds, in a spelling that does not depend on how it got there: of the ids that are looked through,
// only which are still known.
const contents = `local all, keys = {}, redis.call('KEYS', '*')
	table.sort(keys)
	for _, key in ipairs(keys) do
		local kind, v = redis.call('TYPE', key).ok, nil
		if kind == 'list' then v = redis.call('LRANGE', key, 0, -1)
			if string.sub(key, -6) == ':aging' then
				local known = {}
				for _, e in ipairs(v) do
					local k = string.sub(e, 7)
					if redis.call('HEXISTS', string.sub(key, 1, -7) .. ':known', k) == 1 and not known[k] then
						known[k], known[#known + 1] = true, k
					end
				end
				v = {unpack(known)}
				table.sort(v)
			end
		elseif kind == 'string' then v = {redis.call('GET', key)}
		elseif kind == 'zset' then v = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
		else
			local h = redis.call('HGETALL', key)
			v = {}
			for i = 1, #h, 2 do v[#v + 1] = h[i] .. '=' .. h[i + 1] end
			table.sort(v)
		end
		all[#all + 1] = cjson.encode({key, kind, redis.call('PTTL', key) > 0, v})
	end
	return table.concat(all, '\n')`

// handedModel does the same on two servers with two nodes each: on the first, what pops is what nodes have noted; on the
// second, each pop has a key of nothing, which leaves it to the script for all cases. If they are clusters, of one server each, all
// else that has a short way is left to the scripts for all cases on the second too.
type handedModel struct {
	t       *testing.T
	r       *rand.Rand
	steps   int
	clocks  [2]atomic.Int64 // of the nodes, Unix ms
	servers [2]*redistest.Server
	nodes   [2][2]*redis.Queue // by server
	seen    map[string][]bachata.Key
	late    []bachata.Key // were confirmed before
}

func newHandedModel(t *testing.T, seed uint64, cluster bool, o redis.Options) *handedModel {
	m := &handedModel{t: t, r: rand.New(rand.NewPCG(seed, 0)), seen: make(map[string][]bachata.Key)}
	for i := range m.servers {
		if cluster {
			m.servers[i] = redistest.StartCluster(t, 1).Nodes[0]
		} else {
			m.servers[i] = redistest.Start(t)
		}
		o.Addresses = []string{m.servers[i].Addr()}
		for j := range m.clocks {
			m.clocks[j].Store(1_790_000_000_000)
			o.Now = func() time.Time { return time.UnixMilli(m.clocks[j].Load()) }
			m.nodes[i][j] = openQueue(t, o)
			redis.OneByOne(m.nodes[i][j])
			if cluster && i == 1 {
				redis.LeaveToGeneral(m.nodes[i][j])
			}
		}
	}
	return m
}

// both has do done on both servers, which have to tell the same.
func (m *handedModel) both(what string, do func(server int) string) {
	m.t.Helper()
	a, b := do(0), do(1)
	if a == b {
		return
	}
	short, general := strings.Split(a, "\n"), strings.Split(b, "\n")
	m.t.Fatalf("step %d: %s: the short way got, where they differ,\n%q\nthe script for all cases\n%q",
		m.steps, what, without(short, general), without(general, short))
}

// without returns the lines that are not among the others.
func without(lines, others []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return slices.Contains(others, line) })
}

func (m *handedModel) advance(ms int64) {
	for i := range m.clocks {
		m.clocks[i].Add(ms)
	}
}

// put puts n messages into bob's inbox, some of them into another's too. Different senders use the same ids.
func (m *handedModel) put(n int) {
	m.t.Helper()
	r := m.r
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	items := make([]bachata.Item, n)
	for i := range items {
		it := bachata.Item{Channels: []string{"bob"}, Dest: "bob", Origin: one("anna", "anna", "carl", "carl", "1", "1\x00", ""), Payload: []byte("{}")}
		it.From = one(it.Origin, it.Origin, "bot")
		id := strconv.Itoa(i)
		it.ID = bachata.ID{Text: one(id, id, id, id, "0", "wait", ":x", "%y"), Number: r.IntN(3) == 0}
		it.NoReceipt = r.IntN(8) == 0
		if r.IntN(2) == 0 {
			it.Dest = one("team", "", "club")
			if r.IntN(3) > 0 {
				it.Channels = append(it.Channels, one("dora", "finn", "anna"))
			}
		}
		items[i] = it
	}
	m.both(fmt.Sprintf("put %+v", items), func(server int) string {
		res, err := m.nodes[server][0].Put(m.t.Context(), items)
		return fmt.Sprint(res, err)
	})
}

// fetch returns the keys of what channel holds, which the node then knows.
func (m *handedModel) fetch(node int, channel string) (keys []bachata.Key) {
	m.t.Helper()
	m.both("fetch "+channel, func(server int) string {
		envs, err := m.nodes[server][node].Fetch(m.t.Context(), channel, 0, bachata.Limit{})
		keys = keys[:0]
		for _, e := range envs {
			keys = append(keys, bachata.Key{Cursor: e.Cursor})
		}
		return fmt.Sprintf("%+v %v", envs, err)
	})
	m.seen[channel] = keys
	return keys
}

func (m *handedModel) pop(node int, channel string, keys []bachata.Key) {
	m.t.Helper()
	if len(keys) == 0 {
		return
	}
	m.both(fmt.Sprintf("pop %s %+v", channel, keys), func(server int) string {
		all := keys
		if server == 1 {
			all = append(keys[:len(keys):len(keys)], bachata.Key{Cursor: 3})
		}
		popped, err := m.nodes[server][node].PopDelivered(m.t.Context(), channel, channel, all)
		redis.AwaitLeft(m.nodes[server][node]) // before the clock goes on: markers of what is late stay
		return fmt.Sprint(popped[:min(len(popped), len(keys))], err)
	})
}

func (m *handedModel) step() {
	m.t.Helper()
	r := m.r
	m.steps++
	m.advance(r.Int64N(3) / 2)
	if r.IntN(40) == 0 {
		m.clocks[1].Store(m.clocks[0].Load() + r.Int64N(5) - 2)
	}
	node := r.IntN(2)
	if r.IntN(25) == 0 {
		m.advance(200_000)
	}
	switch k := r.IntN(20); {
	case k < 2: // what one node confirmed is confirmed by the other, when the next messages are there
		m.pop(0, "bob", m.fetch(0, "bob"))
		n := 1 + r.IntN(3)
		m.put(n)
		m.fetch(1-node, "bob")
		keys := m.fetch(node, "bob")
		m.pop(node, "bob", keys)
		m.advance(120_000 * r.Int64N(2)) // past the window
		m.put(n)
		m.fetch(node, "bob")
		m.pop(1-node, "bob", keys)
	case k < 4:
		m.late = m.fetch(node, "bob")
		m.pop(r.IntN(2), "bob", m.late)
		m.advance(120_000)
	case k < 9:
		m.put(1 + r.IntN(3))
	case k < 12:
		m.fetch(node, "bob")
	case k < 16:
		keys := m.seen["bob"]
		if len(keys) > 0 && r.IntN(3) == 0 {
			keys = keys[:1+r.IntN(len(keys))]
		}
		m.pop(node, "bob", keys)
		m.late = keys
	case k < 18:
		m.pop(node, "bob", m.late)
	default:
		channel := [...]string{"anna", "carl", "1", "1\x00", "dora", "finn"}[r.IntN(6)]
		keys := m.fetch(node, channel)
		if len(keys) > 0 {
			keys = keys[r.IntN(3)/2*r.IntN(len(keys)):]
			keys = keys[:1+r.IntN(len(keys))]
		}
		m.pop(r.IntN(2), channel, keys)
	}
}

// run does steps and looks, after some, at what they have left behind.
func (m *handedModel) run(steps int, look func(server int) string) {
	for range steps / 10 {
		for range 10 {
			m.step()
		}
		m.both("contents", look)
	}
}

// modelOptions are those with which a model runs, by what is special about them.
func modelOptions() map[string]redis.Options {
	o := options()
	o.Dedupe, o.SweepEvery = 2*time.Minute, -1
	all := map[string]redis.Options{"plain": o, "apart": redis.ApartFrom(o, 1)}
	o.Receipts = 6
	all["few receipts"] = o
	o.Receipts, o.InboxMessages, o.InboxAge = 0, 6, 5*time.Minute
	all["full"] = o
	o.DropOldest, o.ReceiptAge = true, 5*time.Minute
	all["drop"] = o
	return all
}

// Whatever nodes have noted, a pop leaves behind what the script for all cases leaves.
func TestPopLikeGeneral(t *testing.T) {
	t.Parallel()
	for name, o := range modelOptions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newHandedModel(t, modelSeed(name), false, o)
			m.run(modelSteps(), func(server int) string { return m.servers[server].Do("EVAL", contents, "0") })
		})
	}
}

// On a cluster the short ways of putting, popping and carrying receipts leave behind what the scripts for all cases leave.
func TestClusterLikeGeneral(t *testing.T) {
	t.Parallel()
	for name, o := range modelOptions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newHandedModel(t, modelSeed(name), true, o)
			m.run(modelSteps(), func(server int) string {
				redis.Age(m.nodes[server][0], "", "bob", "anna", "carl", "1", "1\x00", "dora", "finn")
				return m.servers[server].Do("EVAL", contents, "0")
			})
		})
	}
}

// modelSteps returns how many steps a model does: fewer where everything takes longer.
func modelSteps() int {
	if testing.Short() {
		return 150
	}
	return 800
}

// modelSeed returns the seed for a model with options of that name.
func modelSeed(name string) uint64 { return uint64(len(name)) }
