package bachata_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

// A direct message goes to the channel that its dest names.
func ExampleDirect() {
	queue := memory.New(nil)
	defer queue.Close()
	center := bachata.NewCenter(queue, nil)
	defer center.Close()
	if err := center.AddRoute(bachata.Direct("direct")); err != nil {
		fmt.Println(err)
	}

	m, err := center.Decode([]byte(`{"id":"1","type":"direct","dest":"bob","data":"hi"}`))
	if err != nil {
		fmt.Println(err)
	}
	result, err := center.Process(context.Background(), m)
	fmt.Println(result.Channels, err)
	printInbox(queue, "bob")

	// Output:
	// [bob] <nil>
	// bob: {"id":"1","type":"direct","dest":"bob","data":"hi"}
}

// A group message goes to all members of the group that its dest names.
func ExampleGroup() {
	groups := map[string][]string{"team": {"anna", "bob"}}
	members := func(_ context.Context, group string, _ *bachata.Session) ([]string, error) {
		channels, ok := groups[group]
		if !ok {
			return nil, &bachata.Refusal{Code: bachata.RefusedNotAllowed, Reason: "there is no such group"}
		}
		return channels, nil
	}

	queue := memory.New(nil)
	defer queue.Close()
	center := bachata.NewCenter(queue, nil)
	defer center.Close()
	if err := center.AddRoute(bachata.Group(members, "group")); err != nil {
		fmt.Println(err)
	}
	for _, group := range []string{"team", "crew"} {
		m, err := bachata.MakeMessage(bachata.Draft{ID: bachata.StringID("1"), Type: "group", Dest: group, Data: "lunch?"})
		if err != nil {
			fmt.Println(err)
		}
		result, err := center.Process(context.Background(), m)
		fmt.Println(result.Channels, err)
	}
	printInbox(queue, "anna")

	// Output:
	// [anna bob] <nil>
	// [] bachata: refused (not_allowed): there is no such group
	// anna: {"id":"1","type":"group","dest":"team","data":"lunch?"}
}

// A route of one's own: it passes what is not its own, may refuse or change a message, handle it by itself, or name
// channels. Every route of the chain is asked, until one stops it.
func ExampleRouteFunc() {
	support := bachata.RouteFunc(func(_ context.Context, m *bachata.Message, _ *bachata.Session) (bachata.Decision, error) {
		switch {
		case m.Type() != "support":
			return bachata.Pass(), nil
		case strings.Contains(m.Data(), "password"):
			return bachata.Decision{}, &bachata.Refusal{Code: "secret", Reason: "never send a password"}
		case m.Data() == `"/help"`:
			fmt.Println("answered here")
			return bachata.Stop(), nil
		}
		if err := m.Set("queue", "first level"); err != nil {
			return bachata.Decision{}, err
		}
		return bachata.To("agent-1", "agent-2"), nil
	})

	queue := memory.New(nil)
	defer queue.Close()
	center := bachata.NewCenter(queue, nil)
	defer center.Close()
	if err := center.AddRoute(&support); err != nil {
		fmt.Println(err)
	}
	for _, text := range []string{"my password is x", "/help", "it does not start"} {
		m, err := bachata.MakeMessage(bachata.Draft{Type: "support", Data: text})
		if err != nil {
			fmt.Println(err)
		}
		result, err := center.Process(context.Background(), m)
		fmt.Println(result.Channels, err)
	}
	printInbox(queue, "agent-2")
	fmt.Println(center.RemoveRoute(&support))

	// Output:
	// [] bachata: refused (secret): never send a password
	// answered here
	// [] <nil>
	// [agent-1 agent-2] <nil>
	// agent-2: {"type":"support","data":"it does not start","queue":"first level"}
	// true
}

// Who has not confirmed after a while is told in another way.
func ExampleIfUndelivered() {
	pushed := make(chan string)
	push := func(_ context.Context, m *bachata.Message, channel string) {
		pushed <- fmt.Sprintf("push to %s: you have a message from %s", channel, m.From())
	}

	queue := memory.New(nil)
	defer queue.Close()
	center := bachata.NewCenter(queue, nil)
	defer center.Close()
	if err := center.AddRoute(bachata.IfUndelivered(bachata.Direct(), 10*time.Millisecond, push)); err != nil {
		fmt.Println(err)
	}
	m, err := bachata.MakeMessage(bachata.Draft{ID: bachata.StringID("1"), Type: "direct", From: "anna", Dest: "bob"})
	if err != nil {
		fmt.Println(err)
	}
	if _, err := center.Process(context.Background(), m); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-pushed)

	// Output:
	// push to bob: you have a message from anna
}

// A PostProcessor acts after the message was stored, once for each channel that its route named.
func ExamplePostProcessor() {
	queue := memory.New(nil)
	defer queue.Close()
	center := bachata.NewCenter(queue, nil)
	route := &audited{Route: bachata.Direct(), lines: make(chan string, 1)}
	if err := center.AddRoute(route); err != nil {
		fmt.Println(err)
	}
	m, err := bachata.MakeMessage(bachata.Draft{Type: "direct", Dest: "bob"})
	if err != nil {
		fmt.Println(err)
	}
	if _, err := center.Process(context.Background(), m); err != nil {
		fmt.Println(err)
	}
	if err := center.Close(); err != nil { // waits for post-processing
		fmt.Println(err)
	}
	fmt.Println(<-route.lines)

	// Output:
	// a direct message is stored for bob
}

// audited is a route that notes what it delivered.
type audited struct {
	bachata.Route
	lines chan string
}

func (a *audited) PostProcess(_ context.Context, _ *bachata.Center, m *bachata.Message, channel string) {
	a.lines <- fmt.Sprintf("a %s message is stored for %s", m.Type(), channel)
}
