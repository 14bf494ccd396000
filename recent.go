package bachata

// recent remembers the hashes of the last ids that were added, at most 64: half a kilobyte on sockets that confirm.
type recent struct {
	ids  []uint64
	next int
}

func (r *recent) add(id uint64) {
	const most = 64
	if len(r.ids) < most {
		r.ids = append(r.ids, id)
		return
	}
	r.ids[r.next] = id
	r.next = (r.next + 1) % most
}

func (r *recent) has(id uint64) bool {
	for _, o := range r.ids {
		if o == id {
			return true
		}
	}
	return false
}
