//go:build !linux

package vfs

import "os"

func datasync(f *os.File) error { return f.Sync() }

func freeBytes(string) (int64, bool) { return 0, false }
