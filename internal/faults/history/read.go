package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrFormat wraps every error about a file that is no history.
var ErrFormat = errors.New("history: not a history")

// ReadDir reads all histories of a directory, in the order of their names.
func ReadDir(dir string) ([]History, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("list histories: %w", err)
	}
	var all []History
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read history: %w", err)
		}
		h, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", filepath.Base(name), err)
		}
		all = append(all, h)
	}
	return all, nil
}

// Parse reads one history. A last line without its end is left off.
func Parse(text []byte) (History, error) {
	var h History
	last := int64(0)
	for n := 1; ; n++ {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			break
		}
		text = rest
		if n == 1 {
			if err := json.Unmarshal(line, &h.Header); err != nil {
				return History{}, fmt.Errorf("%w: line 1: %w", ErrFormat, err)
			}
			continue
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return History{}, fmt.Errorf("%w: line %d: %w", ErrFormat, n, err)
		}
		if e.At < last {
			return History{}, fmt.Errorf("%w: line %d: the clock goes back from %d to %d", ErrFormat, n, last, e.At)
		}
		last = e.At
		h.Events = append(h.Events, e)
	}
	if h.Version != Version {
		return History{}, fmt.Errorf("%w: version %d, want %d", ErrFormat, h.Version, Version)
	}
	if h.Client == "" {
		return History{}, fmt.Errorf("%w: no client is named", ErrFormat)
	}
	return h, nil
}
