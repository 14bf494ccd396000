//go:build unix

package browser_test

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"testing"
	"time"

	"github.com/bachata-go/bachata/internal/browser"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// It changes the environment, so that it runs alone.
func TestStartNamesWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := exec.LookPath("chromedriver"); err == nil {
		t.Fatal("chromedriver is found without a PATH")
	}
	if _, err := browser.Start(t.Context()); !errors.Is(err, browser.ErrMissing) {
		t.Errorf("Start = %v, want ErrMissing", err)
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	d, err := browser.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	w, err := d.Open(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.Go(ctx, `data:text/html,<input id="in"><button onclick="out.textContent=document.getElementById('in').value">ok</button><p id="out"></p>`))
	must(w.Type(ctx, "#in", "hello"))
	must(w.Click(ctx, "button"))
	must(w.Until(ctx, `return document.querySelector("#out").textContent === arguments[0]`, "hello"))
	if text, err := w.Text(ctx, "#out"); err != nil || text != "hello" {
		t.Errorf("Text = %q, %v, want hello", text, err)
	}
	must(w.Screen(ctx, 320, 200, 1, true))
	var dark bool
	must(w.Eval(ctx, &dark, `return matchMedia("(prefers-color-scheme: dark)").matches && innerWidth === 320`))
	if !dark {
		t.Error("the page does not see the screen that was set")
	}
	if picture, err := w.Screenshot(ctx); err != nil || !bytes.HasPrefix(picture, []byte("\x89PNG")) {
		t.Errorf("Screenshot gave %d bytes, %v, want a PNG", len(picture), err)
	}
	var problem *browser.Error
	if err := w.Click(ctx, "#nothing"); !errors.As(err, &problem) || problem.Code != "no such element" {
		t.Errorf("Click of nothing = %v, want no such element", err)
	}
	must(w.Close(ctx))
}
