package vfs

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// OpenDirect opens a file for writing past the cache: O_DIRECT and O_DSYNC of open(2).
func (OS) OpenDirect(name string) (DirectFile, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|syscall.O_DIRECT|syscall.O_DSYNC, 0)
	if err != nil {
		return nil, err
	}
	return osDirect{f}, nil
}

type osDirect struct{ *os.File }

// WillRead is POSIX_FADV_WILLNEED of posix_fadvise(2).
func (f osDirect) WillRead(offset, n int64) {
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { _ = unix.Fadvise(int(fd), offset, n, unix.FADV_WILLNEED) })
	}
}
