package client

import "context"

// Seen returns how many messages the application was given.
func (c *Client) Seen() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen)
}

// Told returns of how many receipts the application was told.
func (c *Client) Told() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.told)
}

// Dialed returns how many connections the client has tried to make.
func (c *Client) Dialed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dialed
}

// Refusals returns how often the client was refused with code.
func (c *Client) Refusals(code string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refusals[code]
}

// Reason returns what the last refusal with code told people.
func (c *Client) Reason(code string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reasons[code]
}

// await waits until ok, which is asked again whenever something came.
func (c *Client) await(ctx context.Context, ok func() bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wait(ctx, ok)
}

// AwaitRefusal waits until the client was refused n times with code.
func (c *Client) AwaitRefusal(ctx context.Context, code string, n int) error {
	return c.await(ctx, func() bool { return c.refusals[code] >= n })
}

// AwaitSeen waits until the application was given n messages.
func (c *Client) AwaitSeen(ctx context.Context, n int) error {
	return c.await(ctx, func() bool { return len(c.seen) >= n })
}

// AwaitOpen waits until every socket is connected.
func (c *Client) AwaitOpen(ctx context.Context) error {
	return c.await(ctx, func() bool { return len(c.conns) == c.options.Sockets })
}

// AwaitTold waits until there was a receipt for every message that the client has sent, each to one channel.
func (c *Client) AwaitTold(ctx context.Context) error {
	return c.await(ctx, func() bool { return len(c.told) >= c.sent })
}
