package redistest

import "syscall"

// processAttributes has the kernel end the server with the test's process, however that ends.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
