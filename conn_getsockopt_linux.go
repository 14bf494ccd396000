//go:build !386 && !s390x

package bachata

import "syscall"

const sysGetsockopt = syscall.SYS_GETSOCKOPT
