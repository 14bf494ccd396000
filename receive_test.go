package bachata_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

func TestAnswersComeInOrderAndAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna := connect(t, c, "anna")
		writes := anna.writes
		anna.send(
			`{"type":1001}`,
			`{"id":1,"type":"direct","dest":"bob"}`,
			`nonsense`,
			`{"id":"2","type":"unrouted"}`,
			`{"id":"2","type":"direct","dest":"bob"}`,
			`{"id":"2","type":"direct","dest":"bob"}`,
			`{"type":1002}`,
			`{"type":1001}`,
		)
		anna.expect(
			`{"type":1002}`,
			`{"type":100,"data":1}`,
			`{"type":400,"data":null,"code":"bad_json","reason":"the frame is not valid JSON at byte 1"}`,
			`{"type":400,"data":"2","code":"no_route","reason":"no route takes this message"}`,
			`{"type":100,"data":"2"}`,
			`{"type":100,"data":"2","dup":true}`,
			`{"type":1002}`,
		)
		if n := anna.writes - writes; n != 1 {
			t.Errorf("%d writes, want 1", n)
		}
	})
}

func TestManyMessagesInOneRead(t *testing.T) {
	t.Parallel()
	bubble(t, &bachata.Options{Window: bachata.Limit{Messages: 10_000}}, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		var sent, accepted []string
		for i := range 10_000 {
			sent = append(sent, fmt.Sprintf(`{"id":%d,"type":"direct","dest":"bob","from":"anna"}`, i))
			accepted = append(accepted, fmt.Sprintf(`{"type":100,"data":%d}`, i))
		}
		anna.send(sent...)
		anna.expect(accepted...)
		bob.expect(sent...)
	})
}

func TestClientsCannotSendServerCodes(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		for _, code := range []int{100, 300, 400, 480, 481, 1000, 1003, 1004, 7, 201} {
			anna.send(fmt.Sprintf(`{"type":%d,"data":"1","dest":"bob"}`, code))
			got := anna.take()
			if len(got) != 1 || !strings.HasPrefix(got[0], `{"type":400,"data":null,"code":"bad_type"`) {
				t.Errorf("code %d was answered %q, want a 400 bad_type", code, got)
			}
		}
		bob.expect()
	})
}

func TestFromIsTheServers(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		bob := connect(t, c, "bob")
		anna := attach(t, c, bachata.Identity{Channel: "inbox-17", From: "anna \"A\""})
		anna.take()
		anna.send(
			`{"from":"mallory","id":1,"type":"direct","dest":"bob" }`,
			`{"id":2,"type":"direct","dest":"bob","from":{"x":[1]},"z":1.10}`,
			`{"id":3,"type":"direct","dest":"bob"  }  `,
		)
		bob.expect(
			`{"from":"anna \"A\"","id":1,"type":"direct","dest":"bob" }`,
			`{"id":2,"type":"direct","dest":"bob","from":"anna \"A\"","z":1.10}`,
			`{"id":3,"type":"direct","dest":"bob"  ,"from":"anna \"A\""}  `,
		)
		bob.send(`{"type":200,"data":1}`)
		anna.expect(`{"type":100,"data":1}`, `{"type":100,"data":2}`, `{"type":100,"data":3}`,
			`{"type":300,"data":1,"from":"bob","dest":"bob","time":0}`)
	})
}

func TestFromIsAString(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		five, bob := connect(t, c, "5"), connect(t, c, "bob")
		five.send(`{"id":1,"type":"direct","dest":"bob","from":5}`, `{"id":2,"type":"direct","dest":"bob","from":null}`)
		bob.expect(`{"id":1,"type":"direct","dest":"bob","from":"5"}`, `{"id":2,"type":"direct","dest":"bob","from":"5"}`)
	})
}

func TestRefuseFrom(t *testing.T) {
	t.Parallel()
	bubble(t, &bachata.Options{RefuseFrom: true}, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna := connect(t, c, "anna")
		anna.send(`{"id":1,"type":"direct","dest":"bob","from":"mallory"}`, hiAt)
		anna.expect(`{"type":400,"data":1,"code":"bad_from","reason":"\"from\" is set by the server; leave it out"}`, ok1)
	})
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, q *faultyQueue) {
		anna := connect(t, c, "anna")
		q.putFails.Store(true)
		anna.send(hi)
		anna.expect(`{"type":400,"data":"1","code":"unavailable","reason":"not known to be stored; send the same id again"}`)
		q.putFails.Store(false)
		anna.send(hi)
		anna.expect(ok1)
	})
}

func TestInboxFull(t *testing.T) {
	t.Parallel()
	bubbleOn(t, &memory.Options{InboxMessages: 1}, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		if err := c.AddRoute(toAll{"bob", "carl"}); err != nil {
			t.Fatal(err)
		}
		anna := connect(t, c, "anna")
		anna.send(hi)
		anna.send(strings.Replace(hi, `"1"`, `"2"`, 1))
		anna.expect(ok1, `{"type":400,"data":"2","code":"inbox_full","reason":"the receiver's inbox is full"}`)
		anna.send(`{"id":"3","type":"all"}`)
		anna.expect(`{"type":100,"data":"3"}`, `{"type":481,"data":"3","from":"bob","time":0}`)
		bob := connect(t, c, "bob")
		bob.expect(hiAt)
		bob.send(got1)
		anna.expect(tick)
		connect(t, c, "carl").expect(`{"id":"3","type":"all","from":"anna"}`)
	})
}

func TestDuplicateAfterDelivery(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(hi)
		bob.send(got1)
		anna.expect(ok1, tick)
		anna.send(hi)
		anna.expect(`{"type":100,"data":"1","dup":true}`, tick)
		bob.expect(hiAt)
	})
}

func TestRouteErrors(t *testing.T) {
	t.Parallel()
	o, log := logged()
	bubble(t, o, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna := connect(t, c, "anna")
		if err := c.AddRoute(failing{}); err != nil {
			t.Fatal(err)
		}
		anna.send(`{"id":1,"type":"fail"}`, `{"id":2,"type":"panic"}`, `{"id":3,"type":"refuse"}`)
		anna.expect(
			`{"type":400,"data":1,"code":"route_error","reason":"the message could not be routed"}`,
			`{"type":400,"data":2,"code":"route_error","reason":"the message could not be routed"}`,
			`{"type":400,"data":3,"code":"not_member","reason":"you left"}`,
		)
	})
	if got := strings.Count(log.String(), "level=ERROR"); got != 2 ||
		!strings.Contains(log.String(), "a route or a hook failed") || !strings.Contains(log.String(), "panic in a route, a hook or a job") {
		t.Errorf("an error and a panic were logged so, want one line each:\n%s", log.String())
	}
}

type failing struct{ _ int }

func (failing) Process(_ ctx, m *bachata.Message, _ *bachata.Session) (bachata.Decision, error) {
	switch m.Type() {
	case "fail":
		return bachata.Decision{}, errors.New("secret: the database is at 10.1.2.3")
	case "panic":
		panic("secret")
	case "refuse":
		return bachata.Decision{}, &bachata.Refusal{Code: "not_member", Reason: "you left"}
	}
	return bachata.Pass(), nil
}
