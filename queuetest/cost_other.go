//go:build !unix

package queuetest

import "time"

// cpuTime is not known here.
func cpuTime() time.Duration { return 0 }
