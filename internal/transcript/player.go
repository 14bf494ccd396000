package transcript

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// stepTimeout is how long a step may wait for what it expects: far more than it takes, so that only what never comes
// runs into it.
const stepTimeout = 30 * time.Second

// Play plays the clients of s against the server whose WebSocket endpoint is endpoint (ws://...), which takes the
// channel, the shown name and the user from the query; server does what a server step asks for. It returns the first
// difference. At the end every open connection must have been sent nothing but what s expects.
func Play(ctx context.Context, endpoint string, s *Script, server func(ctx context.Context, action string) error) error {
	return newPlayer(endpoint, server).run(ctx, s)
}

func newPlayer(endpoint string, server func(ctx context.Context, action string) error) *player {
	return &player{
		endpoint: endpoint, server: server, timeout: stepTimeout,
		conns: map[string]*conn{}, refused: map[string]int{},
	}
}

func (p *player) run(ctx context.Context, s *Script) error {
	defer p.shut()
	for i := 0; i < len(s.Steps); {
		n := 1
		for s.Steps[i].Verb == Unordered && i+n < len(s.Steps) && s.Steps[i+n].Verb == Unordered &&
			s.Steps[i+n].Name == s.Steps[i].Name {
			n++
		}
		if err := p.play(ctx, s.Steps[i:i+n]); err != nil {
			return fmt.Errorf("%v: %w", s.Steps[i], err)
		}
		i += n
	}
	for name, c := range p.conns {
		if err := p.finish(ctx, c); err != nil {
			return fmt.Errorf("at the end, %s: %w", name, err)
		}
	}
	return nil
}

type player struct {
	endpoint string
	server   func(ctx context.Context, action string) error
	timeout  time.Duration // of a step
	conns    map[string]*conn
	refused  map[string]int // HTTP statuses of refused handshakes, by name
	fence    *conn          // sends the fences, made when the first is needed
	fences   int
}

func (p *player) shut() {
	for _, c := range p.conns {
		c.shut()
	}
	if p.fence != nil {
		p.fence.shut()
	}
}

// play plays one step, or several unordered ones of one connection.
func (p *player) play(ctx context.Context, steps []Step) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	s := steps[0]
	switch s.Verb {
	case Connect, Open:
		return p.open(ctx, s)
	case Refused:
		return p.checkRefused(s)
	case Server:
		return p.server(ctx, s.Text)
	}
	c := p.conns[s.Name]
	if c == nil {
		return fmt.Errorf("%s is not connected", s.Name)
	}
	switch s.Verb {
	case Send, Binary, Fragments, Bytes:
		return sendStep(c, s)
	case Hold:
		c.hold()
	case Flush:
		c.flush()
	case Receive, Exact:
		return p.receive(ctx, c, s)
	case Unordered:
		return p.unordered(ctx, c, steps)
	case Ping:
		return p.ping(ctx, c, s.Text)
	case Pongs:
		c.pongs(s.Text == "on")
	case Pong:
		return c.pong(ctx)
	case Idle:
		return p.idle(ctx, c)
	case Quiet:
		return p.quiet(ctx, c)
	case Close, Closed, Drop:
		delete(p.conns, s.Name)
		defer c.shut()
		return p.leave(ctx, c, s)
	}
	return nil
}

// open connects; connect also takes the 1000.
func (p *player) open(ctx context.Context, s Step) error {
	if p.conns[s.Name] != nil {
		return fmt.Errorf("%s is connected already", s.Name)
	}
	query, header, noPongs := url.Values{"channel": {s.Name}}, http.Header{}, false
	for _, field := range strings.Fields(s.Text) {
		key, value, ok := strings.Cut(field, "=")
		switch {
		case !ok:
			return fmt.Errorf("%q is not of the form key=value", field)
		case key == "origin":
			header.Set("Origin", value)
		case field == "pongs=off":
			noPongs = true
		default:
			query.Set(key, value)
		}
	}
	c, err := dial(ctx, p.endpoint+"?"+query.Encode(), query.Get("channel"), header, noPongs)
	var status ws.StatusError
	if s.Verb == Open && errors.As(err, &status) {
		p.refused[s.Name] = int(status)
		return nil
	}
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	p.conns[s.Name] = c
	if s.Verb == Open {
		return nil
	}
	e, err := p.next(ctx, c)
	if err != nil {
		return err
	}
	if e.op != ws.OpText || !strings.Contains(e.text, `"type":1000`) {
		return fmt.Errorf("the first frame is %v, want a 1000", e)
	}
	return nil
}

func (p *player) checkRefused(s Step) error {
	got, ok := p.refused[s.Name]
	if !ok {
		return errors.New("the handshake was not refused")
	}
	delete(p.refused, s.Name)
	if strconv.Itoa(got) != s.Text {
		return fmt.Errorf("the handshake was refused with %d, want %s", got, s.Text)
	}
	return nil
}

func sendStep(c *conn, s Step) error {
	if s.Verb == Bytes {
		b, err := hex.DecodeString(strings.ReplaceAll(s.Text, " ", ""))
		if err != nil {
			return fmt.Errorf("read bytes: %w", err)
		}
		c.raw(b)
		return nil
	}
	size, text := 0, s.Text
	if s.Verb == Fragments {
		first, rest, _ := strings.Cut(text, " ")
		n, err := strconv.Atoi(first)
		if err != nil || n < 1 {
			return fmt.Errorf("fragments wants their size in bytes, found %q", first)
		}
		size, text = n, rest
	}
	text, err := Expand(text)
	if err != nil {
		return err
	}
	op := ws.OpText
	if s.Verb == Binary {
		op = ws.OpBinary
	}
	if size == 0 {
		return c.send(ws.NewFrame(op, true, []byte(text)))
	}
	for len(text) > size {
		if err := c.send(ws.NewFrame(op, false, []byte(text[:size]))); err != nil {
			return err
		}
		op, text = ws.OpContinuation, text[size:]
	}
	return c.send(ws.NewFrame(op, true, []byte(text)))
}
