//go:build linux

package proc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/bachata-go/bachata/internal/faults/history"
)

// Health asks /healthz and returns the status and what was said.
func (s *Server) Health(ctx context.Context) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+"/healthz", nil)
	if err != nil {
		return 0, "", fmt.Errorf("ask health: %w", err)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return 0, "", fmt.Errorf("ask health: %w", err)
	}
	defer res.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(res.Body); err != nil {
		return 0, "", fmt.Errorf("ask health: %w", err)
	}
	return res.StatusCode, text.String(), nil
}

// Memory returns the resident memory of the process in bytes, and records it.
func (s *Server) Memory() (int, error) {
	if s.cmd == nil {
		return 0, errors.New("proc: the server is not running")
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("read memory: %q", text)
	}
	pages, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	bytes := pages * os.Getpagesize()
	s.record(history.Event{Kind: history.Memory, Size: bytes})
	return bytes, nil
}
