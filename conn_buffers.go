package bachata

import "sync"

const (
	inputSize = 32 << 10 // what one read takes at most
	smallSize = 1 << 10  // what is kept of it while it is handled, if it is not more
	blockSize = 4 << 10  // read at once where a reader must wait with its buffer, as with TLS
	flushSize = 64 << 10 // what a flusher writes within one WriteTimeout
	pauseAt   = 256 << 10
	maxTexts  = 1 << 12 // texts of one input whose list is worth keeping
)

// input is what one read brought.
type input struct {
	buf [inputSize]byte
	n   int
	err error
}

// arrivals collects what is in one input.
type arrivals struct {
	texts    [][]byte
	inflated int       // bytes of texts that were compressed
	proven   []Key     // what a pong says has arrived
	control  []byte    // the frames that answer pings
	parts    assembler // of a connection that had nothing incomplete before
}

// output is a write under way; try is its method of that name, kept so that writing allocates nothing.
type output struct {
	b   []byte // what is left to write
	err error
	try func(fd uintptr) bool
}

// connBuffers are the memory that the busy connections of a handler share, so that idle ones have none.
type connBuffers struct {
	inputs, smalls, arrived, outputs, helds sync.Pool
}

func (p *connBuffers) input() *input {
	if in, ok := p.inputs.Get().(*input); ok {
		return in
	}
	return new(input)
}

func (p *connBuffers) putInput(in *input) {
	in.n, in.err = 0, nil
	p.inputs.Put(in)
}

func (p *connBuffers) small() *[smallSize]byte {
	if s, ok := p.smalls.Get().(*[smallSize]byte); ok {
		return s
	}
	return new([smallSize]byte)
}

func (p *connBuffers) putSmall(s *[smallSize]byte) { p.smalls.Put(s) }

func (p *connBuffers) arrivals() *arrivals {
	if bt, ok := p.arrived.Get().(*arrivals); ok {
		return bt
	}
	return new(arrivals)
}

func (p *connBuffers) putArrivals(bt *arrivals) {
	if cap(bt.texts) > maxTexts || cap(bt.control) > flushSize || cap(bt.proven) > 2*barrierFrames {
		return
	}
	*bt = arrivals{texts: bt.texts[:0], proven: bt.proven[:0], control: bt.control[:0]}
	p.arrived.Put(bt)
}

func (p *connBuffers) held() *held {
	if f, ok := p.helds.Get().(*held); ok {
		return f
	}
	return new(held)
}

func (p *connBuffers) putHeld(f *held) {
	if cap(f.b) <= keptBuffer {
		f.b = f.b[:0]
		p.helds.Put(f)
	}
}

func (p *connBuffers) output() *output {
	if o, ok := p.outputs.Get().(*output); ok {
		return o
	}
	o := new(output)
	o.try = o.tryWrite
	return o
}

func (p *connBuffers) putOutput(o *output) {
	o.b, o.err = nil, nil
	p.outputs.Put(o)
}
