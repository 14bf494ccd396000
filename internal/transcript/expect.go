package transcript

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/gobwas/ws"
)

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
		f, err := dial(ctx, p.endpoint+"?channel="+fenceType, fenceType, nil, false)
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
	// The server may have been first: having answered a closing handshake, it meets the answer to its own with a reset.
	if err := c.halfClose(ctx); err != nil && !errors.Is(err, syscall.ENOTCONN) {
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
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	if err := p.quiet(ctx, c); err != nil {
		return err
	}
	return p.leave(ctx, c, Step{Verb: Close})
}
