package bachata

import "sync"

// keptBuffer is the largest buffer that is used again: a rare large one is not kept.
const keptBuffer = 64 << 10

// frameBuffers are for frames on their way out.
var frameBuffers = sync.Pool{New: func() any { return new([]byte) }}

func getBuffer() *[]byte { return frameBuffers.Get().(*[]byte) }

func putBuffer(b *[]byte) {
	if cap(*b) <= keptBuffer {
		*b = (*b)[:0]
		frameBuffers.Put(b)
	}
}
