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
	claim, settle, receive                                                     *rueidis.Lua // of a cluster
}

func newScripts(k keyspace, l inbox.Limits, shared bool, many int) scripts {
	head := constants(k, l, shared, many)
	script := func(parts ...string) *rueidis.Lua {
		var b strings.Builder
		b.WriteString(head)
		for _, name := range parts {
			b.WriteString(part(name))
		}
		return rueidis.NewLuaScript(b.String())
	}
	all := scripts{
		put:         script("core", "tell", "age", "put"),
		putOne:      script("put_one"),
		putSame:     script("put_same"),
		fetch:       script("fetch_fast", "fetch_args", "core", "entry", "fetch"),
		fetchOne:    script("fetch_one"),
		popOne:      script("pop_one"),
		pop:         script("pop_fast", "pop_args", "core", "entry", "tell", "resolve", "pop"),
		check:       script("core", "entry", "resolve", "check"),
		lose:        script("core", "entry", "tell", "lose"),
		age:         script("core", "age", "age_idle"),
		look:        rueidis.NewLuaScript(part("look")),
		claim:       script("core", "tell", "age", "claim"),
		settle:      script("core", "tell", "settle"),
		receive:     script("core", "tell", "receive"),
		simplePut:   script("core", "simple", "simple_put"),
		simpleFetch: script("core", "simple", "simple_fetch"),
	}
	if shared {
		plain := head
		head = plain + "local CHECK = false\n"
		all.put = script("core", "entry", "tell", "age", "shared", "shared_put")
		all.fetch = script("fetch_args", "core", "entry", "shared", "shared_fetch")
		all.pop = script("core", "entry", "tell", "shared", "shared_pop")
		all.lose = script("core", "entry", "tell", "shared", "shared_lose")
		head = plain + "local CHECK = true\n"
		all.check = script("core", "entry", "tell", "shared", "shared_pop")
	}
	return all
}

// part returns the text of a file.
func part(name string) string {
	text, err := lua.ReadFile("lua/" + name + ".lua")
	if err != nil { // they are embedded
		panic(err)
	}
	return string(text)
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
		b.WriteString("local LEAD = string.sub(KEYS[1], 1, (string.find(KEYS[1], '}', PREFIX + 1, true)))\n")
		for _, name := range []string{"known", "aging", "forgot", "due", "out"} {
			fmt.Fprintf(&b, "local %s = LEAD .. ':%s'\n", strings.ToUpper(name), name)
		}
		b.WriteString("local TOLD = LEAD .. ':told:'\n")
		return b.String()
	}
	set("CAP", l.Cap)
	set("LEAD", quote(k.prefix))
	for _, name := range []string{"known", "aging", "forgot", "due", "out"} {
		set(strings.ToUpper(name), quote(k.prefix+":"+name))
	}
	set("TOLD", quote(k.prefix+":told:"))
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
