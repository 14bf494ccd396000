//go:build !linux

package bachata

import (
	"errors"
	"net"
)

// poller is for Linux only: here each connection waits by itself.
type poller struct{ cork cork }

func (*poller) adopt(*conn, net.Conn) bool { return false }
func (*poller) watchOutput(int32) error    { return errors.ErrUnsupported }
func (*poller) serve(*conn)                {}
func (*poller) close(int32)                {}
func (*poller) leave()                     {}

func readNow(int32, []byte) (int, error)  { return 0, errors.ErrUnsupported }
func writeNow(int32, []byte) (int, error) { return 0, errors.ErrUnsupported }
func noLinger(int32)                      {}
func untaken(uintptr) uint64              { return 0 } // so that a late pong is a missing one
func taken(uintptr) uint64                { return 0 }
func shutdownWrite(int32)                 {}
func remoteOf(int32) string               { return "" }
