//go:build !unix

package bachata

import (
	"net"
	"syscall"
)

// rawConn returns nil: here every connection is read and written by blocking calls.
func rawConn(net.Conn) syscall.RawConn { return nil }

func (in *input) read(uintptr) {}

func (o *output) tryWrite(uintptr) bool { return true }
