package bachata

// Park makes h use the driver of systems without a poller of ours.
func (h *Handler) Park() { h.parked = true }
