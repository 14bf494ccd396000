package bachata_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bachata-go/bachata"
)

type ctx = context.Context

// toAll delivers messages of type "all" to its channels, and notes its post-processing.
type toAll []string

func (r toAll) Process(_ ctx, m *bachata.Message, _ *bachata.Session) (bachata.Decision, error) {
	if m.Type() != "all" {
		return bachata.Pass(), nil
	}
	return bachata.To(r...), nil
}

// noting is a route that decides as it is told and notes what it is asked.
type noting struct {
	decision bachata.Decision

	mu    sync.Mutex
	asked int
	posts []string
}

func (r *noting) Process(ctx, *bachata.Message, *bachata.Session) (bachata.Decision, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	return r.decision, nil
}

func (r *noting) PostProcess(_ ctx, _ *bachata.Center, m *bachata.Message, channel string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.posts = append(r.posts, fmt.Sprintf("%v to %s", m.ID(), channel))
	slices.Sort(r.posts)
}

func TestRoutesAreAskedInOrder(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		pass := &noting{}
		first := &noting{decision: bachata.To("bob", "carl", "bob")}
		second := &noting{decision: bachata.To("carl")}
		stop := &noting{decision: bachata.Stop()}
		never := &noting{decision: bachata.To("dave")}
		for _, r := range []bachata.Route{pass, first, second, stop, never} {
			if err := c.AddRoute(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.AddRoute(first); err == nil {
			t.Error("AddRoute took a route twice")
		}
		anna, bob, carl, dave := connect(t, c, "anna"), connect(t, c, "bob"), connect(t, c, "carl"), connect(t, c, "dave")
		anna.send(`{"id":1,"type":"x"}`)
		anna.expect(`{"type":100,"data":1}`)
		text := `{"id":1,"type":"x","from":"anna"}`
		bob.expect(text)
		carl.expect(text) // one copy
		dave.expect()
		if pass.asked != 1 || stop.asked != 1 || never.asked != 0 {
			t.Errorf("asked %d, %d, %d times, want 1, 1, 0", pass.asked, stop.asked, never.asked)
		}
		if got := fmt.Sprint(first.posts, second.posts); got != "[1 to bob 1 to carl] [1 to carl]" {
			t.Errorf("post-processing ran for %s", got)
		}
		bob.send(`{"type":200,"data":1}`)
		carl.send(`{"type":200,"data":1}`)
		anna.expect(`{"type":300,"data":1,"from":"bob","time":0}`, `{"type":300,"data":1,"from":"carl","time":0}`)

		anna.send(`{"id":1,"type":"x"}`) // known: no post-processing
		anna.take()
		if len(second.posts) != 1 {
			t.Errorf("post-processing ran for a duplicate: %v", second.posts)
		}
		if !c.RemoveRoute(first) || c.RemoveRoute(first) {
			t.Error("RemoveRoute did not report right")
		}
		if n := len(c.Routes()); n != 5 {
			t.Errorf("%d routes, want 5", n)
		}
	})
}

func TestStopWithoutChannels(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		if err := c.AddRoute(&noting{decision: bachata.Stop()}); err != nil {
			t.Fatal(err)
		}
		anna := connect(t, c, "anna")
		anna.send(`{"id":1,"type":"x"}`, `{"type":"x"}`)
		anna.expect(`{"type":100,"data":1}`)
	})
}

func TestRouteWithoutReceipt(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		if err := c.AddRoute(&noting{decision: bachata.To("bob").WithoutReceipt()}); err != nil {
			t.Fatal(err)
		}
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(`{"id":1,"type":"x"}`)
		bob.send(`{"type":200,"data":1}`)
		anna.expect(`{"type":100,"data":1}`)
	})
}

func TestGroup(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		groups := map[string][]string{"room": {"anna", "bob", "carl"}, "alone": {"anna"}}
		members := func(_ context.Context, group string, s *bachata.Session) ([]string, error) {
			channels := groups[group]
			if s != nil && !slices.Contains(channels, s.Identity().Channel) {
				return nil, &bachata.Refusal{Code: "not_member", Reason: "not a member of this group"}
			}
			return channels, nil
		}
		group := bachata.Group(members, "group")
		if err := c.AddRoute(group); err != nil {
			t.Fatal(err)
		}
		anna, bob, carl, dave := connect(t, c, "anna"), connect(t, c, "bob"), connect(t, c, "carl"), connect(t, c, "dave")
		text := `{"id":1,"type":"group","dest":"room","from":"anna"}`
		anna.send(text)
		anna.expect(`{"type":100,"data":1}`)
		bob.expect(text)
		carl.expect(text)
		bob.send(`{"type":200,"data":1}`)
		carl.send(`{"type":200,"data":1}`)
		anna.expect(`{"type":300,"data":1,"from":"bob","dest":"room","time":0}`, `{"type":300,"data":1,"from":"carl","dest":"room","time":0}`)

		anna.send(`{"id":2,"type":"group","dest":"alone"}`)
		anna.expect(`{"type":100,"data":2}`)
		dave.send(`{"id":2,"type":"group","dest":"room"}`)
		dave.expect(`{"type":400,"data":2,"code":"not_member","reason":"not a member of this group"}`)

		group.ToSender = true
		anna.send(`{"id":3,"type":"group","dest":"alone"}`)
		anna.expect(`{"type":100,"data":3}`, `{"id":3,"type":"group","dest":"alone","from":"anna"}`)
	})
}

func TestProcessWithoutSocket(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, q *faultyQueue) {
		bob := connect(t, c, "bob")
		m, err := bachata.MakeMessage(bachata.Draft{ID: bachata.StringID("n1"), Type: "direct", From: "system", Dest: "bob"})
		if err != nil {
			t.Fatal(err)
		}
		result, err := c.Process(t.Context(), m)
		if err != nil || result.Dup || !slices.Equal(result.Channels, []string{"bob"}) {
			t.Errorf("Process() = %+v, %v", result, err)
		}
		bob.expect(`{"id":"n1","type":"direct","dest":"bob","from":"system"}`)
		if result, err := c.Process(t.Context(), m); err != nil || !result.Dup {
			t.Errorf("Process() again = %+v, %v, want a duplicate", result, err)
		}
		bob.send(`{"type":200,"data":"n1"}`)

		unrouted, err := c.Decode([]byte(`{"type":"unrouted"}`))
		if err != nil {
			t.Fatal(err)
		}
		var r *bachata.Refusal
		if _, err := c.Process(t.Context(), unrouted); !errors.As(err, &r) || r.Code != bachata.RefusedNoRoute {
			t.Errorf("Process() of what no route takes = %v, want no_route", err)
		}
		if result, err := c.Send(t.Context(), unrouted, "bob", "carl", "bob"); err != nil || len(result.Statuses) != 2 {
			t.Errorf("Send() = %+v, %v", result, err)
		}
		bob.expect(`{"type":"unrouted"}`)
		if _, err := c.Send(t.Context(), unrouted, ""); err == nil {
			t.Error("Send to the empty channel succeeded")
		}
		if _, err := c.Decode([]byte(`{"type":200,"data":"x"}`)); err == nil {
			t.Error("Decode took a transport message")
		}
		q.putFails.Store(true)
		if _, err := c.Send(t.Context(), unrouted, "bob"); !errors.Is(err, bachata.ErrUnavailable) {
			t.Errorf("Send() = %v, want ErrUnavailable", err)
		}
	})
}

func TestIfUndelivered(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		var mu sync.Mutex
		var called []string
		route := bachata.IfUndelivered(bachata.Direct("push"), time.Minute, func(_ ctx, m *bachata.Message, channel string) {
			mu.Lock()
			defer mu.Unlock()
			called = append(called, fmt.Sprintf("%v for %s", m.ID(), channel))
		})
		if err := c.AddRoute(route); err != nil {
			t.Fatal(err)
		}
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(`{"id":1,"type":"push","dest":"bob"}`, `{"id":2,"type":"push","dest":"bob"}`)
		bob.send(`{"type":200,"data":1}`)
		time.Sleep(59 * time.Second)
		synctest.Wait()
		mu.Lock()
		if len(called) != 0 {
			t.Errorf("called for %v before the time", called)
		}
		mu.Unlock()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if got := fmt.Sprint(called); got != "[2 for bob]" {
			t.Errorf("called for %v, want 2 for bob", got)
		}
	})
}

func TestCloseWaitsForPostProcessing(t *testing.T) {
	t.Parallel()
	bubble(t, &bachata.Options{PostProcessors: 2}, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		slow := &slowPost{Route: bachata.Direct("slow")}
		if err := c.AddRoute(slow); err != nil {
			t.Fatal(err)
		}
		anna := connect(t, c, "anna")
		for i := range 5 {
			anna.send(fmt.Sprintf(`{"id":%d,"type":"slow","dest":"bob"}`, i+1))
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		slow.mu.Lock()
		defer slow.mu.Unlock()
		if slow.running != 0 || slow.most != 2 {
			t.Errorf("%d post-processings run after Close, and there were %d at once, want 0 and 2", slow.running, slow.most)
		}
	})
}

// A post-processing that sends a message of its own, which is post-processed in turn, must not wait for its own place.
func TestPostProcessingSends(t *testing.T) {
	t.Parallel()
	bubble(t, &bachata.Options{PostProcessors: 2}, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		if err := c.AddRoute(&asking{}); err != nil {
			t.Fatal(err)
		}
		anna, log := connect(t, c, "anna"), connect(t, c, "log")
		for i := range 10 {
			anna.send(fmt.Sprintf(`{"id":%d,"type":"ask","dest":"bob"}`, 2*i), fmt.Sprintf(`{"id":%d,"type":"ask","dest":"bob"}`, 2*i+1))
		}
		if got := anna.take(); len(got) != 20 {
			t.Errorf("anna was answered %d times, want 20", len(got))
		}
		if got := log.take(); len(got) != 20 {
			t.Errorf("%d extra messages came, want 20", len(got))
		}
	})
}

// asking sends an extra message for each one of type "ask".
type asking struct{ _ int }

func (*asking) Process(_ ctx, m *bachata.Message, _ *bachata.Session) (bachata.Decision, error) {
	return bachata.To(m.Dest()), nil
}

func (*asking) PostProcess(ctx context.Context, c *bachata.Center, m *bachata.Message, _ string) {
	if m.Type() != "ask" {
		return
	}
	extra, err := bachata.MakeMessage(bachata.Draft{Type: "extra", Dest: "log"})
	if err == nil {
		_, _ = c.Process(ctx, extra)
	}
}

type slowPost struct {
	bachata.Route
	mu            sync.Mutex
	running, most int
}

func (p *slowPost) PostProcess(ctx context.Context, _ *bachata.Center, _ *bachata.Message, _ string) {
	p.mu.Lock()
	p.running++
	p.most = max(p.most, p.running)
	p.mu.Unlock()
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	p.mu.Lock()
	p.running--
	p.mu.Unlock()
}
