package vfs

import "fmt"

// OpKind says what an Op does.
type OpKind uint8

// The operations that change a file system.
const (
	OpCreate OpKind = iota
	OpWrite
	OpSync
	OpTruncate
	OpRename
	OpRemove
	OpSyncDir
)

var opNames = [...]string{"create", "write", "sync", "truncate", "rename", "remove", "syncdir"}

// String returns the operation in lower case.
func (k OpKind) String() string { return opNames[k] }

// Op is an operation that is about to change a Mem.
type Op struct {
	Index  int // how many were before it in this Mem
	Kind   OpKind
	Name   string
	To     string // of a rename
	Offset int64  // of a write; the new size of a truncation
	Bytes  int    // of a write
}

// String names the operation, its file and its extent.
func (o Op) String() string {
	return fmt.Sprintf("%d %s %s%s at %d, %d bytes", o.Index, o.Kind, o.Name, o.To, o.Offset, o.Bytes)
}

// ShortWrite is an error that a hook returns to have the first Bytes of a write done before it fails.
type ShortWrite struct {
	Bytes int
	Err   error
}

// Error returns the text of the error that it stands for.
func (e *ShortWrite) Error() string { return fmt.Sprintf("wrote %d bytes: %v", e.Bytes, e.Err) }

// Unwrap returns the error that it stands for.
func (e *ShortWrite) Unwrap() error { return e.Err }

// OnOp has fn called before each operation that would change the file system; if fn returns an error, the operation
// is not done and returns that error. There are two exceptions: a write may be done in part, see ShortWrite; a sync that
// fails leaves some of what it was to write on the disk and forgets the rest, as hosts do, so that no later sync makes
// that safe. fn is called from the goroutine that wants the operation and may use the file system, to call Crash for
// example. Nil takes the hook away.
func (m *Mem) OnOp(fn func(Op) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = fn
}

// Ops returns how many operations there were.
func (m *Mem) Ops() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ops
}

func (m *Mem) op(o Op) error {
	m.mu.Lock()
	o.Index = m.ops
	m.ops++
	hook := m.hook
	m.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(o)
}
