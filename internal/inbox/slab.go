package inbox

const slabShift = 12 // 4,096 values a chunk: growing never copies what is there

// slab keeps values under small numbers, from 1. It grows by chunks and never moves a value.
type slab[T any] struct {
	chunks [][]T
	next   uint32
	free   []uint32
}

func (s *slab[T]) at(i uint32) *T { return &s.chunks[i>>slabShift][i&(1<<slabShift-1)] }

func (s *slab[T]) alloc() uint32 {
	if last := len(s.free) - 1; last >= 0 {
		i := s.free[last]
		s.free = s.free[:last]
		return i
	}
	if s.next == 0 {
		s.next = 1
	}
	if int(s.next>>slabShift) == len(s.chunks) {
		s.chunks = append(s.chunks, make([]T, 1<<slabShift))
	}
	s.next++
	return s.next - 1
}

func (s *slab[T]) release(i uint32) {
	var zero T
	*s.at(i) = zero
	s.free = append(s.free, i)
}
