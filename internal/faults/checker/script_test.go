package checker_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/bachata-go/bachata/internal/faults/history"
)

// parse makes histories of a script. A line is "CLIENT VERB CONN ID ...", and happens after the line before it. The channel
// of a client is its name up to a slash, and so is its shown name. What is left out at the end has a usual value.
//
//	dial C, open C [FROM], close C, quiet
//	send C ID DEST [to=A,B] [size=N] [sum=N], ack C ID [dup], refuse C ID REASON
//	message C ID FROM [dest=D] [size=N] [sum=N], show C ID FROM, confirm C ID FROM, get C ID FROM (all three)
//	receipt C ID FROM DEST [code=N], tell C ID FROM [code=N], told C ID FROM DEST [code=N] (both)
//	gap C [dropped=N] [expired=N] [receipts=N]
//	memory SIZE (of a client called server)
func parse(t *testing.T, script string) []history.History {
	t.Helper()
	var names []string
	byName := make(map[string]*history.History)
	now := int64(0)
	for line := range strings.Lines(script) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		name := fields[0]
		h := byName[name]
		if h == nil {
			channel, _, _ := strings.Cut(name, "/")
			if name == "server" {
				channel = ""
			}
			h = &history.History{Header: history.Header{Version: history.Version, Client: name, Channel: channel, From: channel}}
			byName[name] = h
			names = append(names, name)
		}
		for _, e := range events(t, h.Channel, fields[1:]) {
			now += 10
			e.At = now
			h.Events = append(h.Events, e)
		}
	}
	var all []history.History
	for _, name := range names {
		all = append(all, *byName[name])
	}
	return all
}

func events(t *testing.T, channel string, fields []string) []history.Event {
	t.Helper()
	verb, args := fields[0], fields[1:]
	options := make(map[string]string)
	var plain []string
	for _, a := range args {
		if k, v, is := strings.Cut(a, "="); is {
			options[k] = v
		} else {
			plain = append(plain, a)
		}
	}
	arg := func(i int) string {
		if i < len(plain) {
			return plain[i]
		}
		return ""
	}
	number := func(name string, usual int) int {
		text, there := options[name]
		if !there {
			return usual
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s=%q in %q: %v", name, text, fields, err)
		}
		return n
	}
	e := history.Event{Kind: history.Kind(verb), ID: arg(1)}
	if verb != "quiet" && verb != "memory" {
		if _, err := fmt.Sscan(arg(0), &e.Conn); err != nil {
			t.Fatalf("connection of %q: %v", fields, err)
		}
	}
	as := func(kind history.Kind) history.Event { e.Kind = kind; return e }
	switch verb {
	case "open":
		e.ID, e.From = "", channel
		if arg(1) != "" {
			e.From = arg(1)
		}
	case "send":
		e.Dest, e.Size, e.Sum = arg(2), number("size", 10), uint32(number("sum", 1))
		if to := options["to"]; to != "" {
			e.To = strings.Split(to, ",")
		}
	case "ack":
		e.Dup = arg(2) == "dup"
	case "refuse":
		e.Reason = arg(2)
	case "message", "show", "confirm", "get":
		e.From, e.Dest, e.Size, e.Sum = arg(2), channel, number("size", 10), uint32(number("sum", 1))
		if d := options["dest"]; d != "" {
			e.Dest = d
		}
		if verb == "get" {
			return []history.Event{as(history.Message), as(history.Show), as(history.Confirm)}
		}
	case "receipt", "tell", "told":
		e.From, e.Dest, e.Code = arg(2), arg(3), number("code", 300)
		if verb == "told" {
			return []history.Event{as(history.Receipt), as(history.Tell)}
		}
	case "gap":
		e.Dropped, e.Expired, e.Receipts = number("dropped", 0), number("expired", 0), number("receipts", 0)
	case "memory":
		e.Size, e.ID = number("size", 0), ""
	case "dial", "close", "quiet":
	default:
		t.Fatalf("no verb %q", verb)
	}
	return []history.Event{e}
}
