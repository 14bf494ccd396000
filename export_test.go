package bachata

import "reflect"

// Calm reports whether nothing was ever written to what sessions without traffic share.
func Calm() bool { return reflect.ValueOf(&calm).Elem().IsZero() }

// Refused reports whether the socket of s has refused to take more.
func Refused(s *Session) bool { return !s.isReady() }
