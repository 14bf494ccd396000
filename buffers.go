package bachata

import "sync"

// frameBuffers are for frames on their way out.
var frameBuffers = sync.Pool{New: func() any { return new([]byte) }}

func getBuffer() *[]byte { return frameBuffers.Get().(*[]byte) }

func putBuffer(b *[]byte) {
	const keep = 64 << 10 // a rare large one is not kept
	if cap(*b) <= keep {
		*b = (*b)[:0]
		frameBuffers.Put(b)
	}
}
