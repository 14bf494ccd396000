//go:build !linux

package bachata

// poller is for Linux only: here each connection waits by itself.
type poller struct{}

func (*poller) join(*conn) bool { return false }

func (*poller) leave(*conn) {}
