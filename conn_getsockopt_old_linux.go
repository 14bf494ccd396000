//go:build 386 || s390x

package bachata

// sysGetsockopt is that of Linux 4.3, which package syscall does not know: before, these had one call for all of sockets.
const sysGetsockopt = 365
