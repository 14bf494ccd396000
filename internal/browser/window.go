//go:build unix

package browser

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

// elementKey names an element's reference in an answer (WebDriver, section 12.1).
const elementKey = "element-6066-11e4-a52e-4f735466cecf"

// Enter is the key, for Type.
const Enter = "\ue007"

// Window is a browser of its own, with an empty profile and one window. It is used by one goroutine at a time.
type Window struct {
	driver *Driver
	path   string
}

// Open starts a browser whose profile is the directory profile, which must be empty or one of an earlier Window.
func (d *Driver) Open(ctx context.Context, profile string) (*Window, error) {
	body := map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"goog:loggingPrefs": map[string]string{"browser": "ALL"},
		"goog:chromeOptions": map[string]any{
			"binary": d.binary,
			"args": []string{
				"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
				"--disable-background-networking", "--disable-component-update", "--disable-sync",
				"--disable-dev-shm-usage", "--lang=en-US", "--user-data-dir=" + profile,
			},
		},
	}}}
	var answer struct {
		SessionID string `json:"sessionId"`
	}
	if err := d.call(ctx, "POST", "/session", body, &answer); err != nil {
		return nil, fmt.Errorf("open window: %w", err)
	}
	return &Window{driver: d, path: "/session/" + answer.SessionID}, nil
}

// Close ends the browser; its profile stays.
func (w *Window) Close(ctx context.Context) error {
	return w.driver.call(ctx, "DELETE", w.path, nil, nil)
}

// Tab opens a new tab, with the same profile, and turns to it.
func (w *Window) Tab(ctx context.Context) error {
	var tab struct {
		Handle string `json:"handle"`
	}
	if err := w.driver.call(ctx, "POST", w.path+"/window/new", map[string]string{"type": "tab"}, &tab); err != nil {
		return fmt.Errorf("open tab: %w", err)
	}
	return w.driver.call(ctx, "POST", w.path+"/window", map[string]string{"handle": tab.Handle}, nil)
}

// SwitchTab turns to the tab number i, counted from 0 in the order in which they were opened.
func (w *Window) SwitchTab(ctx context.Context, i int) error {
	var handles []string
	if err := w.driver.call(ctx, "GET", w.path+"/window/handles", nil, &handles); err != nil {
		return fmt.Errorf("list tabs: %w", err)
	}
	if i < 0 || i >= len(handles) {
		return fmt.Errorf("browser: no tab %d, there are %d", i, len(handles))
	}
	return w.driver.call(ctx, "POST", w.path+"/window", map[string]string{"handle": handles[i]}, nil)
}

// Go opens a page and waits until it is loaded.
func (w *Window) Go(ctx context.Context, url string) error {
	return w.driver.call(ctx, "POST", w.path+"/url", map[string]string{"url": url}, nil)
}

// Reload loads the page again.
func (w *Window) Reload(ctx context.Context) error {
	return w.driver.call(ctx, "POST", w.path+"/refresh", nil, nil)
}

// Eval runs script, the body of a function, in the page and decodes what it returns into value, unless that is nil.
func (w *Window) Eval(ctx context.Context, value any, script string, args ...any) error {
	if args == nil {
		args = []any{}
	}
	return w.driver.call(ctx, "POST", w.path+"/execute/sync", map[string]any{"script": script, "args": args}, value)
}

// Click clicks the first element that the CSS selector matches.
func (w *Window) Click(ctx context.Context, selector string) error {
	element, err := w.find(ctx, selector)
	if err != nil {
		return err
	}
	return w.driver.call(ctx, "POST", element+"/click", nil, nil)
}

// Type types text into the first element that the CSS selector matches, key by key.
func (w *Window) Type(ctx context.Context, selector, text string) error {
	element, err := w.find(ctx, selector)
	if err != nil {
		return err
	}
	return w.driver.call(ctx, "POST", element+"/value", map[string]string{"text": text}, nil)
}

// Text returns the rendered text of the first element that the CSS selector matches.
func (w *Window) Text(ctx context.Context, selector string) (string, error) {
	element, err := w.find(ctx, selector)
	if err != nil {
		return "", err
	}
	var text string
	return text, w.driver.call(ctx, "GET", element+"/text", nil, &text)
}

// Screen sets what the page takes for its screen: the size in CSS pixels, device pixels for each, and dark or light.
func (w *Window) Screen(ctx context.Context, width, height int, scale float64, dark bool) error {
	err := w.devtools(ctx, "Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": scale, "mobile": false,
	})
	if err != nil {
		return err
	}
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	return w.devtools(ctx, "Emulation.setEmulatedMedia", map[string]any{
		"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}},
	})
}

// Screenshot returns what the window shows, as PNG.
func (w *Window) Screenshot(ctx context.Context) ([]byte, error) {
	var text string
	if err := w.driver.call(ctx, "GET", w.path+"/screenshot", nil, &text); err != nil {
		return nil, fmt.Errorf("take screenshot: %w", err)
	}
	return base64.StdEncoding.DecodeString(text)
}

// Problems returns what the page's console and its content security policy complained about since the last call.
func (w *Window) Problems(ctx context.Context) ([]string, error) {
	var entries []struct {
		Level   string `json:"level"`
		Source  string `json:"source"`
		Message string `json:"message"`
	}
	if err := w.driver.call(ctx, "POST", w.path+"/se/log", map[string]string{"type": "browser"}, &entries); err != nil {
		return nil, err
	}
	var problems []string
	for _, e := range entries {
		if e.Level == "SEVERE" || e.Level == "WARNING" {
			problems = append(problems, e.Source+": "+e.Message)
		}
	}
	return problems, nil
}

// Until waits until script, the body of a function, returns true in the page. The error, when ctx ends before, says
// what the script returned instead.
func (w *Window) Until(ctx context.Context, script string, args ...any) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var value any
	for {
		err := w.Eval(ctx, &value, script, args...)
		if err == nil && value == true {
			return nil
		}
		select {
		case <-ctx.Done():
			if err == nil || errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("wait in page for %q %q: last answer %v: %w", script, args, value, ctx.Err())
			}
			return fmt.Errorf("wait in page for %q %q: %w", script, args, err)
		case <-tick.C:
		}
	}
}

func (w *Window) find(ctx context.Context, selector string) (path string, err error) {
	var element map[string]string
	body := map[string]string{"using": "css selector", "value": selector}
	if err := w.driver.call(ctx, "POST", w.path+"/element", body, &element); err != nil {
		return "", fmt.Errorf("find %q: %w", selector, err)
	}
	return w.path + "/element/" + element[elementKey], nil
}

func (w *Window) devtools(ctx context.Context, command string, params any) error {
	return w.driver.call(ctx, "POST", w.path+"/goog/cdp/execute", map[string]any{"cmd": command, "params": params}, nil)
}
