package redis

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/redis/rueidis"
)

// called finds the commands in the text of a script.
var called = regexp.MustCompile(`call_?\('([A-Z]+)'`)

// commands returns those that a queue with the options o has the server run, in scripts and by themselves.
func commands(o Options, cluster bool) []string {
	names := map[string]bool{"MGET": true, "ROLE": true, "SSUBSCRIBE": true, "SUNSUBSCRIBE": true}
	if cluster {
		names["UNLINK"] = true
	}
	if o.Wait > 0 {
		names["WAIT"] = true
	}
	files, err := lua.ReadDir("lua")
	if err != nil { // they are embedded
		panic(err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".lua")
		if strings.HasPrefix(name, "shared") && !o.Shared {
			continue
		}
		for _, command := range called.FindAllStringSubmatch(part(name), -1) {
			names[command[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// checkRights returns an error if a server does not let this user do what the queue needs. A script that is refused a
// command has carried out what stands before it, and nothing undoes that: a message would be taken off, and no receipt made.
func (q *Queue) checkRights(ctx context.Context) error {
	list := q.keys.list("channel")
	args := append([]string{list, list + wakeSuffix}, commands(q.options, q.keys.cluster)...)
	return q.eachNode(ctx, func(ctx context.Context, address string, node rueidis.Client) error {
		refused, err := node.Do(ctx, node.B().Eval().Script(part("rights")).Numkeys(0).Arg(args...).Build()).AsStrSlice()
		if e, ok := rueidis.IsRedisErr(err); ok && strings.HasPrefix(e.Error(), "NOPERM") {
			return fmt.Errorf("redis: ask %s for the rights of this user: %w", address, err)
		}
		if len(refused) > 0 { // what can't be asked shows when it is needed
			with := "with all keys and published names (~* &*), as there is no prefix"
			if q.options.Prefix != "" {
				with = fmt.Sprintf("with keys and published names that begin with %q", q.options.Prefix)
			}
			return fmt.Errorf("redis: NOPERM at %s: this user may not run %s, %s", address, strings.Join(refused, ", "), with)
		}
		return nil
	})
}
