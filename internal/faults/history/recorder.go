package history

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Clock is the clock of a run, shared by all its histories.
type Clock struct{ start time.Time }

// NewClock starts the clock of a run.
func NewClock() *Clock { return &Clock{start: time.Now()} }

// Now returns the nanoseconds since the run began, by the monotonic clock.
func (c *Clock) Now() int64 { return int64(time.Since(c.start)) }

// Recorder appends to one history. Its methods may be called concurrently; the order of the file is that of the times.
type Recorder struct {
	clock *Clock

	mu   sync.Mutex
	file *os.File
	out  *bufio.Writer
	err  error // the first that a write met
}

// Create makes the file of h in dir, named after its client, and returns its recorder, which is the caller's to close.
func Create(dir string, h Header, clock *Clock) (*Recorder, error) {
	h.Version = Version
	file, err := os.Create(filepath.Join(dir, h.Client+".jsonl"))
	if err != nil {
		return nil, fmt.Errorf("create history: %w", err)
	}
	r := &Recorder{clock: clock, file: file, out: bufio.NewWriterSize(file, 64<<10)}
	r.line(h)
	return r, nil
}

// Record appends e, with the time set to now. What goes wrong is told by Close.
func (r *Recorder) Record(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.At = r.clock.Now()
	r.line(e)
}

func (r *Recorder) line(v any) {
	if r.err != nil {
		return
	}
	text, err := json.Marshal(v)
	if err == nil {
		_, err = r.out.Write(append(text, '\n'))
	}
	r.err = err
}

// Close writes what is buffered and closes the file. It may be called twice.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return r.err
	}
	if err := r.out.Flush(); r.err == nil {
		r.err = err
	}
	if err := r.file.Close(); r.err == nil {
		r.err = err
	}
	r.file = nil
	if r.err != nil {
		r.err = fmt.Errorf("write history: %w", r.err)
	}
	return r.err
}
