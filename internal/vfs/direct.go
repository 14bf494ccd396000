package vfs

import (
	"errors"
	"io"
	"syscall"
	"unsafe"
)

// Directs is an optional interface of an FS whose files can be written past the host's cache.
type Directs interface {
	// OpenDirect opens a file that is there. It fails where the host or the file system can't do that; that may also
	// show only when something is written, as an error for which IsNotDirect is true.
	OpenDirect(name string) (DirectFile, error)
}

// DirectBlock is what a write past the host's cache is a multiple of, in bytes: its offset, its length and the place of its
// memory.
const DirectBlock = 4 << 10

// DirectFile is a file that is written past the host's cache. A File of the same name reads what was written.
type DirectFile interface {
	// WriteAt writes p, a piece of what AlignedBytes returned. What was written is safe from a power cut when it returns, as
	// after File.Sync; after an error as little is known.
	io.WriterAt
	// WillRead has the host read n bytes at offset into its cache soon, if it can. It may wait for the disk to take the
	// order, and may be called and be under way when the file is closed.
	WillRead(offset, n int64)
	io.Closer
}

// IsNotDirect reports whether err says that a file can't be written past the host's cache. Nothing was written then.
func IsNotDirect(err error) bool { return errors.Is(err, syscall.EINVAL) }

// AlignedBytes returns n bytes at a place in memory that is a multiple of DirectBlock.
func AlignedBytes(n int) []byte {
	b := make([]byte, n+DirectBlock-1)
	over := int(uintptr(unsafe.Pointer(&b[0])) % DirectBlock)
	from := (DirectBlock - over) % DirectBlock
	return b[from : from+n : from+n]
}

// aligned reports whether a write is one that a DirectFile takes.
func aligned(p []byte, offset int64) bool {
	return len(p) > 0 && uintptr(unsafe.Pointer(&p[0]))%DirectBlock == 0 && len(p)%DirectBlock == 0 && offset%DirectBlock == 0
}
