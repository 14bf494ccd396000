//go:build unix

package main_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bachata-go/bachata/internal/browser"
)

var screenshots = flag.String("screenshots", "", "folder to write screenshots of the page to")

// stepTimeout is what one step in a browser may take on a busy machine.
const stepTimeout = 30 * time.Second

// person is a user at a browser of her own.
type person struct {
	t      *testing.T
	name   string
	window *browser.Window
}

// newPerson opens a browser with an empty profile. A browser that is missing fails the test.
func newPerson(t *testing.T, name string) *person {
	t.Helper()
	d, err := shared.driver()
	if err != nil {
		t.Fatal(err)
	}
	w, err := d.Open(within(t, stepTimeout), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(within(t, stepTimeout)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	return &person{t: t, name: name, window: w}
}

// signIn opens the page and starts under the person's name.
func (p *person) signIn(url string) {
	p.t.Helper()
	p.goTo(url)
	p.waits("the sign-in form", `return !document.querySelector("#sign-in").hidden`)
	p.types("#name", p.name+browser.Enter)
	p.connected()
}

func (p *person) connected() {
	p.t.Helper()
	p.waits("the connection", `return document.querySelector("#status").dataset.state === "online"`)
}

func (p *person) goTo(url string) {
	p.t.Helper()
	p.must("open "+url, p.window.Go(within(p.t, stepTimeout), url))
}

// talksTo opens the conversation with peer.
func (p *person) talksTo(peer string) {
	p.t.Helper()
	p.types("#find-name", peer+browser.Enter)
	p.waits("the conversation with "+peer, `return document.querySelector("#peer").textContent === arguments[0]`, peer)
}

// says types a message and sends it.
func (p *person) says(text string) {
	p.t.Helper()
	p.types("#text", text+browser.Enter)
	p.sees(text)
}

// sees waits until a message with this text stands in the open conversation.
func (p *person) sees(text string) {
	p.t.Helper()
	p.waits("the message "+text, `return messageOf(arguments[0]) !== undefined;`+messageOf, text)
}

// seesState waits until the message with this text is queued, accepted, delivered or refused.
func (p *person) seesState(text, state string) {
	p.t.Helper()
	p.waits(text+" to be "+state, `return messageOf(arguments[0])?.dataset.state === arguments[1] || messageOf(arguments[0])?.dataset.state;`+messageOf,
		text, state)
}

const messageOf = `function messageOf(text) {
	return [...document.querySelectorAll("#messages .message:not([hidden])")].findLast((m) => m.querySelector(".text").textContent === text);
}`

// texts returns the messages of the open conversation, in order.
func (p *person) texts() []string {
	p.t.Helper()
	var texts []string
	p.evals(&texts, `return [...document.querySelectorAll("#messages .message:not([hidden]) .text")].map((e) => e.textContent)`)
	return texts
}

func (p *person) types(selector, text string) {
	p.t.Helper()
	p.must("type into "+selector, p.window.Type(within(p.t, stepTimeout), selector, text))
}

func (p *person) clicks(selector string) {
	p.t.Helper()
	p.must("click "+selector, p.window.Click(within(p.t, stepTimeout), selector))
}

func (p *person) evals(value any, script string, args ...any) {
	p.t.Helper()
	p.must("run a script", p.window.Eval(within(p.t, stepTimeout), value, script, args...))
}

func (p *person) waits(what, script string, args ...any) {
	p.t.Helper()
	if err := p.window.Until(within(p.t, stepTimeout), script, args...); err != nil {
		p.snap("failed-" + p.name)
		p.t.Fatalf("%s waits for %s: %v", p.name, what, err)
	}
}

func (p *person) must(what string, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s: %s: %v", p.name, what, err)
	}
}

// snap writes what the window shows into the folder for screenshots, if there is one.
func (p *person) snap(name string) {
	p.t.Helper()
	if *screenshots == "" {
		return
	}
	picture, err := p.window.Screenshot(within(p.t, stepTimeout))
	p.must("take a screenshot", err)
	p.must("write a screenshot", os.WriteFile(filepath.Join(*screenshots, name+".png"), picture, 0o644))
}

// hasNoProblems checks that neither the console nor the content security policy complained.
func (p *person) hasNoProblems() {
	p.t.Helper()
	problems, err := p.window.Problems(within(p.t, stepTimeout))
	p.must("read the console", err)
	if len(problems) > 0 {
		p.t.Errorf("%s: the page complained: %q", p.name, problems)
	}
}
