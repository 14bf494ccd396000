package vfs

import (
	"os"
	"syscall"
)

// datasync doesn't write the time of the last change, which fsync would, with a commit of the journal each time.
func datasync(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = c.Control(func(fd uintptr) {
		for {
			if result = syscall.Fdatasync(int(fd)); result != syscall.EINTR {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return result
}

func freeBytes(dir string) (int64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
