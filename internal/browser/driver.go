//go:build unix

package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"time"
)

// ErrMissing is returned by Start when the programs are not installed.
var ErrMissing = errors.New("browser: chromium or chromedriver is not installed: apt-get install -y chromium chromium-driver")

const startTimeout = 30 * time.Second

// Driver is a running chromedriver. Its methods may be called concurrently.
type Driver struct {
	url     string
	binary  string
	command *exec.Cmd
	client  *http.Client
	output  chan struct{} // closed when chromedriver closed its output
}

// Start starts chromedriver on a free port of this machine. The caller closes it.
func Start(ctx context.Context) (*Driver, error) {
	program, err := exec.LookPath("chromedriver")
	if err != nil {
		return nil, ErrMissing
	}
	chromium, err := lookAny("chromium", "chromium-browser", "google-chrome")
	if err != nil {
		return nil, ErrMissing
	}
	d := &Driver{
		binary:  chromium,
		command: exec.Command(program, "--port=0"),
		client:  &http.Client{Timeout: time.Minute, Transport: &http.Transport{}},
		output:  make(chan struct{}),
	}
	// In a process group of its own, so that Close ends the browsers with it.
	d.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := d.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start chromedriver: %w", err)
	}
	if err := d.command.Start(); err != nil {
		return nil, fmt.Errorf("start chromedriver: %w", err)
	}
	port := make(chan string, 1)
	go d.readOutput(out, port)
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case p, ok := <-port:
		if ok {
			d.url = "http://127.0.0.1:" + p
			return d, nil
		}
		err = errors.New("it ended before it named its port")
	case <-timeout.C:
		err = errors.New("it named no port")
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(fmt.Errorf("start chromedriver: %w", err), d.Close())
}

var portLine = regexp.MustCompile(`started successfully on port (\d+)`)

func (d *Driver) readOutput(out io.Reader, port chan<- string) {
	defer close(d.output)
	defer close(port)
	found := false
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := portLine.FindStringSubmatch(lines.Text()); m != nil && !found {
			found = true
			port <- m[1]
		}
	}
}

// Close ends chromedriver and every browser that it started.
func (d *Driver) Close() error {
	d.client.CloseIdleConnections()
	if err := syscall.Kill(-d.command.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) &&
		!errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end chromedriver: %w", err)
	}
	<-d.output
	// It was killed, so that its exit status says nothing.
	_ = d.command.Wait()
	return nil
}

// call makes one WebDriver request; what the answer holds as its value is decoded into value, unless that is nil.
func (d *Driver) call(ctx context.Context, method, path string, body, value any) error {
	var text []byte
	if method == http.MethodPost {
		if body == nil {
			body = struct{}{}
		}
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("encode %s: %w", path, err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, d.url+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("ask chromedriver: %w", err)
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	response, err := d.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask chromedriver: %w", err)
	}
	defer response.Body.Close()
	var answer struct {
		Value json.RawMessage `json:"value"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("decode answer to %s: %w", path, err)
	}
	if response.StatusCode != http.StatusOK {
		var e struct {
			Error   string `json:"error"`
			Message string `json:"message"`
		}
		_ = json.Unmarshal(answer.Value, &e)
		return &Error{Code: e.Error, Message: e.Message}
	}
	if value == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Value, value); err != nil {
		return fmt.Errorf("decode answer to %s: %w", path, err)
	}
	return nil
}

// Error is what chromedriver answers when it can't do what it was asked.
type Error struct {
	Code    string // of the WebDriver specification, section 6.6: "no such element"
	Message string
}

// Error returns the code and the message.
func (e *Error) Error() string { return "browser: " + e.Code + ": " + e.Message }

func lookAny(names ...string) (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrMissing
}
