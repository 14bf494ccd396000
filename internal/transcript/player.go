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
	p := &player{endpoint: endpoint, server: server, conns: map[string]*conn{}, refused: map[string]int{}}
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
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
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
	query, header := url.Values{"channel": {s.Name}}, http.Header{}
	for _, field := range strings.Fields(s.Text) {
		key, value, ok := strings.Cut(field, "=")
		switch {
		case !ok:
			return fmt.Errorf("%q is not of the form key=value", field)
		case key == "origin":
			header.Set("Origin", value)
		default:
			query.Set(key, value)
		}
	}
	c, err := dial(ctx, p.endpoint+"?"+query.Encode(), query.Get("channel"), header)
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

// next returns what came next, without fences that were meant for someone else.
func (p *player) next(ctx context.Context, c *conn) (event, error) {
	for {
		e, err := c.events.take(ctx)
		if err != nil || !isFence(e) {
			return e, wrapNothing(err)
		}
	}
}

func wrapNothing(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("nothing came")
	}
	return err
}

func (p *player) nextText(ctx context.Context, c *conn) (string, error) {
	e, err := p.next(ctx, c)
	if err != nil {
		return "", err
	}
	if e.op != ws.OpText {
		return "", fmt.Errorf("got %v", e)
	}
	return e.text, nil
}

func (p *player) receive(ctx context.Context, c *conn, s Step) error {
	got, err := p.nextText(ctx, c)
	if err != nil {
		return err
	}
	return fit(s, got)
}

func fit(s Step, got string) error {
	want, err := Expand(s.Text)
	if err != nil {
		return err
	}
	if s.Verb == Exact {
		return matchExact(want, got)
	}
	if err := Match(want, got); err != nil {
		return fmt.Errorf("%w; it came as %s", err, shorten(got))
	}
	return nil
}

// unordered takes as many frames as there are steps and wants each step to fit one of them.
func (p *player) unordered(ctx context.Context, c *conn, steps []Step) error {
	left := append([]Step(nil), steps...)
	for len(left) > 0 {
		got, err := p.nextText(ctx, c)
		if err != nil {
			return fmt.Errorf("%w; still expected: %v", err, left)
		}
		found := false
		for i, s := range left {
			if fit(s, got) == nil {
				left = append(left[:i], left[i+1:]...)
				found = true
				break
			}
		}
		if !found {
			return fmt.Errorf("got %s, expected one of %v", shorten(got), left)
		}
	}
	return nil
}

// ping sends a WebSocket ping and wants its pong next.
func (p *player) ping(ctx context.Context, c *conn, payload string) error {
	if err := c.send(ws.NewPingFrame([]byte(payload))); err != nil {
		return err
	}
	e, err := p.next(ctx, c)
	if err != nil {
		return err
	}
	if e.op != ws.OpPong || e.text != payload {
		return fmt.Errorf("got %v, want a WebSocket pong %q", e, payload)
	}
	return nil
}

// idle proves that all that the connection sent is answered, and that nothing is left unread.
func (p *player) idle(ctx context.Context, c *conn) error {
	if err := c.send(ws.NewTextFrame([]byte(`{"type":1001}`))); err != nil {
		return err
	}
	got, err := p.nextText(ctx, c)
	if err != nil {
		return fmt.Errorf("wait for the pong: %w", err)
	}
	if err := Match(`{"type":1002}`, got); err != nil {
		return fmt.Errorf("something was not expected: %s", shorten(got))
	}
	return nil
}

// quiet is idle, and proves by a message through the inbox that nothing else waits there.
func (p *player) quiet(ctx context.Context, c *conn) error {
	if err := p.idle(ctx, c); err != nil {
		return err
	}
	if p.fence == nil {
		f, err := dial(ctx, p.endpoint+"?channel="+fenceType, fenceType, nil)
		if err != nil {
			return fmt.Errorf("connect the fence: %w", err)
		}
		p.fence = f
	}
	p.fences++
	mark := fmt.Sprintf("%s %d", fenceType, p.fences)
	text := fmt.Sprintf(`{"type":%q,"dest":%q,"data":%q}`, fenceType, c.channel, mark)
	if err := p.fence.send(ws.NewTextFrame([]byte(text))); err != nil {
		return err
	}
	for {
		e, err := c.events.take(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("wait for the fence: %w", wrapNothing(err))
		case !isFence(e):
			return fmt.Errorf("something was not expected: %v", e)
		case strings.Contains(e.text, strconv.Quote(mark)):
			return nil
		}
	}
}

// fenceType is the type of the messages that quiet sends, and the channel that they come from.
const fenceType = "fence"

func isFence(e event) bool {
	return e.op == ws.OpText && strings.HasPrefix(e.text, `{"type":"`+fenceType+`"`)
}

// leave ends a connection: by a closing handshake, by the server's, or at once.
func (p *player) leave(ctx context.Context, c *conn, s Step) error {
	want := s.Text
	switch s.Verb {
	case Drop:
		return p.drop(ctx, c)
	case Close:
		if want == "" {
			want = "1000"
		}
		code, err := strconv.Atoi(want)
		if err != nil {
			return fmt.Errorf("read close code: %w", err)
		}
		if err := c.send(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), ""))); err != nil {
			return err
		}
	}
	e, err := p.next(ctx, c)
	if err != nil {
		return err
	}
	if e.op != ws.OpClose || strconv.Itoa(closeCode(e.text)) != want {
		return fmt.Errorf("got %v, want a close with code %s", e, want)
	}
	e, err = p.next(ctx, c)
	if err != nil || e.op != opEnd {
		return fmt.Errorf("after the close got %v (%v), want the end of the connection", e, err)
	}
	return nil
}

// drop ends a connection without a closing handshake, after everything that was sent, and waits until the server has
// ended it too. What is unread is thrown away.
func (p *player) drop(ctx context.Context, c *conn) error {
	if err := c.halfClose(ctx); err != nil {
		return fmt.Errorf("end the connection: %w", err)
	}
	for {
		e, err := c.events.take(ctx)
		if err != nil {
			return fmt.Errorf("wait for the end of the connection: %w", wrapNothing(err))
		}
		if e.op == opEnd {
			return nil
		}
	}
}

func (p *player) finish(ctx context.Context, c *conn) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if err := p.quiet(ctx, c); err != nil {
		return err
	}
	return p.leave(ctx, c, Step{Verb: Close})
}
