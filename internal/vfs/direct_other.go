//go:build !linux

package vfs

import (
	"errors"
	"syscall"
)

func isNotDirect(err error) bool { return errors.Is(err, syscall.EINVAL) }
