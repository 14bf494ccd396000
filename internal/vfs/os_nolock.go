//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
)

func isFull(error) bool { return false }

func syncDir(*os.File) error { return nil }

// lockFile refuses: without a lock a second process could destroy the store.
func lockFile(name string) (io.Closer, error) {
	return nil, fmt.Errorf("lock %q: %w on this system", name, errors.ErrUnsupported)
}
