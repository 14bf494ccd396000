package seglog

import (
	"errors"
	"fmt"
)

// Errors of this package. Match them with errors.Is.
var (
	// ErrLocked is returned by Open and Check while another process, or another Log, has the directory.
	ErrLocked = errors.New("seglog: in use by another process")
	// ErrFull says that the next segment could not be prepared, mostly because the disk is full; its cause is
	// wrapped with it. The log goes on by itself when there is room again.
	ErrFull = errors.New("seglog: no room for the next segment")
	// ErrFailed wraps the error of a write or a sync that stopped the log for good. Whether records that were
	// appended and not confirmed by Wait are there is known after the next Open.
	ErrFailed = errors.New("seglog: stopped by an I/O error")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("seglog: closed")
	// ErrTooLarge is returned for what fits into no segment.
	ErrTooLarge = errors.New("seglog: record too large")
	// ErrNoSegment is returned for a segment that is not there, or no longer, or not sealed yet.
	ErrNoSegment = errors.New("seglog: no such segment")
	// ErrVersion is returned for a store in a format that this version does not know.
	ErrVersion = errors.New("seglog: unknown format version")
)

// DamageError says that a file does not hold what was written to it. Match it with errors.As.
type DamageError struct {
	File   string // its path
	Offset int64  // in bytes, of the batch or record or header that is damaged
	Reason string
}

// Error names the file, the offset and the reason.
func (e *DamageError) Error() string {
	return fmt.Sprintf("seglog: %s is damaged at offset %d: %s", e.File, e.Offset, e.Reason)
}
