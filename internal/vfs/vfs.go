// Package vfs is the little of a file system that a durable log needs, twice: OS is the host's, Mem is one in memory
// that forgets on a crash what was not synced and fails where a test wants it to.
package vfs

import (
	"errors"
	"io"
)

// ErrLocked is returned by Lock while another holder has the lock.
var ErrLocked = errors.New("vfs: locked by another holder")

// FS is a file system. Names are paths of the host; errors are those of package io/fs and package syscall, wrapped.
// All methods may be called concurrently.
type FS interface {
	Files
	Dirs
}

// Files is the part of an FS that deals with files.
//
// A name that was created, renamed or removed is safe from a power cut only once its directory was synced.
type Files interface {
	// Create makes an empty file for reading and writing; one that is there is emptied.
	Create(name string) (File, error)
	// Open opens a file that is there for reading and writing.
	Open(name string) (File, error)
	// OpenRead opens a file that is there for reading only.
	OpenRead(name string) (File, error)
	// Rename gives a file another name in the same directory, replacing what has that name.
	Rename(from, to string) error
	// Remove removes a file. Open handles of it stay usable.
	Remove(name string) error
}

// Dirs is the part of an FS that deals with directories.
type Dirs interface {
	// List returns the names of a directory's entries, without their path, sorted.
	List(dir string) ([]string, error)
	// MkdirAll makes a directory and its parents as needed, and syncs what it made.
	MkdirAll(dir string) error
	// OpenDir opens a directory for syncing. The handle is kept open by its owner, so that a process that ran out
	// of descriptors can still sync.
	OpenDir(dir string) (Dir, error)
	// Lock takes a lock that ends with the process or with Close, creating the file if it isn't there.
	// It returns ErrLocked at once if another holder, in this process or another, has it.
	Lock(name string) (io.Closer, error)
}

// File is an open file. All methods may be called concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync returns once what was written is safe from a power cut (fdatasync). After an error nothing is known of
	// what was written since the last success, and calling it again does not help.
	Sync() error
	// Size returns the length in bytes.
	Size() (int64, error)
	// Truncate sets the length in bytes.
	Truncate(size int64) error
}

// Dir is an open directory.
type Dir interface {
	// Sync returns once all names that were created, renamed or removed in the directory are safe from a power cut.
	Sync() error
	Close() error
}

// Space is an optional interface of an FS that knows how much room is left.
type Space interface {
	// Free returns the bytes that can still be written below dir, and false if that is not known.
	Free(dir string) (int64, bool)
}

// IsFull reports whether err says that the disk, or the quota on it, has no room left.
func IsFull(err error) bool { return isFull(err) }
