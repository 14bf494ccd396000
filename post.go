package bachata

import "sync"

// post is a post-processing that waits for the put.
type post struct {
	processor PostProcessor
	channel   string
}

// postPool runs post-processing, a bounded number at once, in the order in which it came. The zero pool is ready.
type postPool struct {
	mu      sync.Mutex
	jobs    []func()
	running int
	room    chan struct{} // closed when fewer jobs wait; nil while nobody asks
}

// postProcess has the post-processing of a message run for each channel that stored it just now.
func (c *Center) postProcess(r routed, channels []string, result PutResult) {
	if len(r.posts) == 0 {
		return
	}
	stored := make(map[string]bool, len(channels))
	for i, channel := range channels {
		stored[channel] = result[i] == Stored
	}
	for _, p := range r.posts {
		if stored[p.channel] {
			c.post(func() {
				c.counters.Add(CountPostProcess, 1)
				_ = c.guard(func() error {
					p.processor.PostProcess(c.ctx, c, r.message, p.channel)
					return nil
				})
			})
		}
	}
}

// post adds a job, and starts a goroutine for it if there may be one more.
func (c *Center) post(job func()) {
	p := &c.posts
	p.mu.Lock()
	defer p.mu.Unlock()
	p.jobs = append(p.jobs, job)
	if p.running < c.options.PostProcessors && c.enter() {
		p.running++
		go c.runPosts()
	}
}

func (c *Center) runPosts() {
	defer c.leave()
	p := &c.posts
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.running-- }()
	for len(p.jobs) > 0 {
		job := p.jobs[0]
		p.jobs[0] = nil
		p.jobs = p.jobs[1:]
		if p.room != nil && len(p.jobs) < c.options.PostProcessors {
			close(p.room)
			p.room = nil
		}
		p.mu.Unlock()
		job()
		p.mu.Lock()
	}
}

// awaitPosts waits until no more jobs wait than run at once. Only sessions do: a post-processing that sends a message
// of its own must not wait for its own place.
func (c *Center) awaitPosts() {
	p := &c.posts
	for {
		p.mu.Lock()
		if len(p.jobs) < c.options.PostProcessors {
			p.mu.Unlock()
			return
		}
		if p.room == nil {
			p.room = make(chan struct{})
		}
		room := p.room
		p.mu.Unlock()
		select {
		case <-room:
		case <-c.ctx.Done():
			return
		}
	}
}
