package redis

import (
	"embed"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"github.com/bachata-go/bachata/internal/inbox"
)

//go:embed lua/*.lua
var lua embed.FS

// scripts are what the server runs. Each begins with the limits of this queue, so that no call has to carry them.
type scripts struct {
	put, putOne, putSame, fetch, fetchOne, popOne, pop, check, lose, age, look *rueidis.Lua
	simplePut, simpleFetch                                                     *rueidis.Lua
	claim, claimNew, settle, settleNew, receive, receiveNew                    *rueidis.Lua // of a cluster
}

func newScripts(k keyspace, l inbox.Limits, shared bool, many int) scripts {
	head := constants(k, l, shared, many)
	script := func(parts ...string) *rueidis.Lua { return rueidis.NewLuaScript(head + strings.Join(parts, "")) }
	// What needs no more than the keys that it is given comes before their names: on a cluster each costs a string.
	names := keyNames(k, "known", "aging", "forgot", "due", "out", "told:")
	pop := []string{names, part("pop_fast")}
	if k.cluster {
		pop = []string{part("pop_out"), names}
	}
	all := scripts{
		put:         script(names, part("core", "tell", "age", "put")),
		putOne:      script(keyNames(k, "known", "aging"), part("put_one")),
		putSame:     script(keyNames(k, "known", "aging"), part("put_same")),
		fetch:       script(part("fetch_fast"), names, part("fetch_args", "core", "entry", "fetch")),
		fetchOne:    script(part("fetch_one")),
		popOne:      script(names, part("pop_one")),
		pop:         script(append(pop, part("pop_args", "core", "entry", "tell", "resolve", "pop"))...),
		check:       script(names, part("core", "entry", "resolve", "check")),
		lose:        script(names, part("core", "entry", "tell", "lose")),
		age:         script(names, part("core", "age", "age_idle")),
		look:        rueidis.NewLuaScript(part("look")),
		claim:       script(names, part("core", "tell", "age", "claim")),
		claimNew:    script(part("claim_new")),
		settle:      script(names, part("core", "tell", "settle")),
		settleNew:   script(part("settle_new")),
		receive:     script(names, part("core", "tell", "receive")),
		receiveNew:  script(part("receive_new")),
		simplePut:   script(names, part("core", "simple", "simple_put")),
		simpleFetch: script(names, part("core", "simple", "simple_fetch")),
	}
	if shared {
		check := names + "local CHECK = %v\n"
		all.put = script(names, part("core", "entry", "tell", "age", "shared", "shared_put"))
		all.fetch = script(names, part("fetch_args", "core", "entry", "shared", "shared_fetch"))
		all.pop = script(fmt.Sprintf(check, false), part("core", "entry", "tell", "shared", "shared_pop"))
		all.lose = script(names, part("core", "entry", "tell", "shared", "shared_lose"))
		all.check = script(fmt.Sprintf(check, true), part("core", "entry", "tell", "shared", "shared_pop"))
	}
	return all
}

// part returns the texts of files.
func part(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		text, err := lua.ReadFile("lua/" + name + ".lua")
		if err != nil { // they are embedded
			panic(err)
		}
		b.Write(text)
	}
	return b.String()
}

// minBucketCap is how many ids a bucket of a cluster remembers in any case. Else it may have a 64th of the cap: not all
// senders are equally busy, and the busiest bucket is what shortens the window.
const minBucketCap = 64

// manyInboxes is in how many inboxes a message waits at most whose receipts stand in its record: about as many as it takes
// until adding one to them costs as much as adding one to a list.
const manyInboxes = 32

// constants writes the limits down for the scripts.
func constants(k keyspace, l inbox.Limits, shared bool, many int) string {
	const day = 24 * 60 * 60 * 1000
	var b strings.Builder
	set := func(name string, v any) { fmt.Fprintf(&b, "local %s = %v\n", name, v) }
	set("PREFIX", len(k.prefix))
	set("CLUSTER", k.cluster)
	set("SHARED", shared)
	set("AGE", l.Age)
	set("RAGE", l.ReceiptAge)
	set("MESSAGES", l.Messages)
	set("BYTES", l.Bytes)
	set("RECEIPTS", l.Receipts)
	set("WINDOW", l.Window)
	set("DROP", l.DropOldest)
	set("MANY", many)
	set("NET", l.Age+day)
	// Lua spells a number anew for every command, which costs 0.3 µs.
	set("NETS", quote(strconv.FormatInt(l.Age+day, 10)))
	set("TOLDS", quote(strconv.FormatInt(max(l.Age, l.Window)+day, 10)))
	if k.cluster {
		set("CAP", max(l.Cap/64, minBucketCap))
	} else {
		set("CAP", l.Cap)
	}
	return b.String()
}

// keyNames names, for the scripts, what the keys of a server, or of a bucket, begin with (LEAD), and those of its keys that are
// wanted.
func keyNames(k keyspace, wanted ...string) string {
	var b strings.Builder
	lead := quote(k.prefix)
	if k.cluster {
		lead = "string.sub(KEYS[1], 1, (string.find(KEYS[1], '}', PREFIX + 1, true)))"
	}
	fmt.Fprintf(&b, "local LEAD = %s\n", lead)
	for _, name := range wanted {
		spelled := quote(k.prefix + ":" + name)
		if k.cluster {
			spelled = "LEAD .. ':" + name + "'"
		}
		fmt.Fprintf(&b, "local %s = %s\n", strings.ToUpper(strings.TrimSuffix(name, ":")), spelled)
	}
	return b.String()
}

// quote spells a text in Lua.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for i := range len(text) {
		fmt.Fprintf(&b, `\%03d`, text[i])
	}
	b.WriteByte('\'')
	return b.String()
}
