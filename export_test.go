package bachata

import "reflect"

// Park makes h use the driver of systems without a poller of ours.
func (h *Handler) Park() { h.parked = true }

// Calm reports whether nothing was ever written to what sessions without traffic share.
func Calm() bool { return reflect.ValueOf(&calm).Elem().IsZero() }
