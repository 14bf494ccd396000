//go:build unix

package main_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/bachata-go/bachata/internal/browser"
	"github.com/golang-jwt/jwt/v5"
)

func TestPageShowsTicks(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--queue", "memory:")
	anna, bob := newPerson(t, "anna"), newPerson(t, "bob")
	anna.signIn(s.url)
	anna.talksTo("bob")
	anna.says("Are you there?")
	anna.seesState("Are you there?", "accepted")

	bob.signIn(s.url)
	anna.seesState("Are you there?", "delivered")
	bob.talksTo("anna")
	bob.sees("Are you there?")
	bob.says("Yes!")
	bob.seesState("Yes!", "delivered")
	anna.sees("Yes!")

	bob.goTo("about:blank")
	anna.says("Still?")
	anna.seesState("Still?", "accepted")
	bob.goTo(s.url) // its name is remembered
	bob.connected()
	anna.seesState("Still?", "delivered")
	bob.talksTo("anna")
	if got, want := bob.texts(), []string{"Are you there?", "Yes!", "Still?"}; !slices.Equal(got, want) {
		t.Errorf("bob's conversation after coming back = %q, want %q", got, want)
	}
	anna.hasNoProblems()
	bob.hasNoProblems()
}

func TestPageSendsWhatWasWrittenOffline(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--queue", "disk:"+t.TempDir())
	anna, bob := newPerson(t, "anna"), newPerson(t, "bob")
	anna.signIn(s.url)
	anna.talksTo("bob")
	anna.says("before")
	anna.seesState("before", "accepted")

	s.kill()
	anna.waits("being told", `return document.querySelector("#status").dataset.state !== "online"`)
	for _, text := range []string{"one", "two", "three"} {
		anna.says(text)
		anna.seesState(text, "queued")
	}
	anna.waits("the banner", `return !document.querySelector("#banner").hidden`)
	anna.snap("offline")
	s.start()
	for _, text := range []string{"one", "two", "three"} {
		anna.seesState(text, "accepted")
	}

	// What waits is kept over a reload, too.
	s.kill()
	anna.says("four")
	anna.says("five")
	anna.goTo("about:blank")
	s.start()
	anna.goTo(s.url + "#to=bob")
	anna.seesState("five", "accepted")
	bob.signIn(s.url)
	bob.talksTo("anna")
	bob.sees("five")
	if got, want := bob.texts(), []string{"before", "one", "two", "three", "four", "five"}; !slices.Equal(got, want) {
		t.Errorf("bob received %q, want %q", got, want)
	}
	anna.seesState("five", "delivered")
	anna.seesState("before", "delivered")
}

func TestPageShowsTextNeverHTML(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--queue", "memory:")
	const evil = `<img src=x onerror="document.body.dataset.owned=1"><script>document.body.dataset.owned=1</script>&amp;`
	anna, eve := newPerson(t, "anna"), newPerson(t, evil[:40])
	eve.signIn(s.url)
	eve.talksTo("anna")
	eve.says(evil)
	eve.seesState(evil, "accepted")
	anna.signIn(s.url)
	anna.talksTo(eve.name)
	anna.sees(evil)
	anna.says(evil)
	eve.waits("the answer", `return document.querySelectorAll(".message.theirs").length === 1`)
	for _, p := range []*person{anna, eve} {
		var owned bool
		p.evals(&owned, `return document.body.dataset.owned !== undefined || document.querySelectorAll("img:not([src='icon.svg']), body script").length > 0`)
		if owned {
			t.Errorf("%s: typed HTML became part of the page", p.name)
		}
		p.hasNoProblems()
	}
}

func TestPageShowsRefusals(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--queue", "memory:", "--inbox-messages", "2", "--max-message", "2KiB")
	anna := newPerson(t, "anna")
	anna.signIn(s.url)
	anna.talksTo("bob")
	for _, text := range []string{"1", "2"} {
		anna.says(text)
		anna.seesState(text, "accepted")
	}
	anna.says("3")
	anna.seesState("3", "refused")
	long := strings.Repeat("long ", 500)
	anna.evals(nil, `document.querySelector("#text").value = arguments[0]`, long)
	anna.types("#text", browser.Enter)
	anna.seesState(strings.TrimSpace(long), "refused")
	anna.snap("refused")

	var reasons []string
	anna.evals(&reasons, `return [...document.querySelectorAll(".refused .reason span")].map((e) => e.textContent)`)
	if len(reasons) != 2 || !strings.Contains(reasons[1], "too long") || !strings.Contains(reasons[1], "2 KiB") {
		t.Errorf("reasons = %q, want one for each of two messages, the second with the limit", reasons)
	}

	// Trying again, once there is room, makes it a new message.
	bob := newPerson(t, "bob")
	bob.signIn(s.url)
	anna.seesState("2", "delivered")
	anna.clicks(".refused .reason button")
	anna.seesState("3", "delivered")

	// The server's own words, for a name that no link should hold.
	anna.goTo(s.url + "#to=" + url.QueryEscape(strings.Repeat("x", 300)))
	anna.waits("the conversation", `return document.querySelector("#peer").textContent.length === 300`)
	anna.says("hello")
	anna.seesState("hello", "refused")
}

func TestPageCountsUnread(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--queue", "memory:")
	anna, bob := newPerson(t, "anna"), newPerson(t, "bob")
	bob.signIn(s.url)
	bob.talksTo("carla")
	anna.signIn(s.url)
	anna.talksTo("bob")
	anna.says("one")
	anna.says("two")
	const count = `return document.querySelector('#talks button[data-peer="anna"] .count')?.firstChild.textContent`
	bob.waits("two unread", count+` === "2"`)
	bob.waits("the title", `return document.title === "(2) Bachata"`)
	bob.clicks(`#talks button[data-peer="anna"]`)
	bob.waits("nothing unread", `return document.title === "Bachata" && document.querySelector("#talks .count") === null`)
	anna.says("three")
	bob.sees("three")
	bob.waits("nothing unread", `return document.title === "Bachata"`)
	// Of the names shown one after the other, only those that match what is typed are left.
	bob.types("#find-name", "carl")
	bob.waits("the filter", `return [...document.querySelectorAll("#talks li:not([hidden])")].length === 1`)
}

func TestPageShowsNothingEphemeral(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--queue", "memory:")
	anna := newPerson(t, "anna")
	anna.signIn(s.url)
	anna.talksTo("bob")
	bob := dial(t, s, "?channel=bob", nil)
	bob.waitsFor(1000)
	bob.send(`{"type":"typing","dest":"anna","ephemeral":true}`)
	bob.send(`{"id":"1","type":"typing","dest":"anna","ephemeral":true}`)
	bob.send(`{"id":"1","type":"direct","dest":"anna","data":"👩‍🚀🇨🇭"}`)
	bob.waitsFor(300)
	anna.sees("👩‍🚀🇨🇭")
	if got := anna.texts(); len(got) != 1 {
		t.Errorf("the conversation shows %q, want the one message that is stored", got)
	}
	anna.waits("two emoji to be large", `return document.querySelectorAll(".bubble.big").length === 1`)
}

func TestPageKeepsTabsTogether(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--queue", "memory:")
	anna, bob := newPerson(t, "anna"), newPerson(t, "bob")
	bob.signIn(s.url)
	anna.signIn(s.url)
	anna.talksTo("bob")
	anna.says("from the first tab")
	anna.must("open a tab", anna.window.Tab(within(t, stepTimeout)))
	anna.goTo(s.url + "#to=bob")
	anna.connected()
	anna.sees("from the first tab")
	anna.says("from the second tab")
	anna.seesState("from the second tab", "delivered")
	bob.talksTo("anna")
	bob.says("to both")
	anna.sees("to both")
	want := []string{"from the first tab", "from the second tab", "to both"}
	if got := anna.texts(); !slices.Equal(got, want) {
		t.Errorf("second tab shows %q, want %q", got, want)
	}
	anna.must("go to the first tab", anna.window.SwitchTab(within(t, stepTimeout), 0))
	anna.sees("to both")
	if got := anna.texts(); !slices.Equal(got, want) {
		t.Errorf("first tab shows %q, want %q", got, want)
	}
}

func TestPageOnAPhone(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--queue", "memory:")
	anna := newPerson(t, "anna")
	anna.must("be a phone", anna.window.Screen(within(t, stepTimeout), 360, 640, 2, true))
	anna.signIn(s.url)
	anna.talksTo("bob")
	anna.says("a message that is a good deal longer than a phone is wide, and a word: " + strings.Repeat("x", 200))
	anna.says("short")
	anna.seesState("short", "accepted")
	const fits = `return document.documentElement.scrollWidth <= 360 && document.querySelector("#log").scrollWidth <= 360`
	carla := dial(t, s, "?channel=carla", nil)
	carla.send(`{"id":"1","type":"direct","dest":"anna","data":{"text":"` + strings.Repeat("a long one as the last of its conversation ", 5) + `"}}`)
	carla.waitsFor(300)
	anna.waits("everything to fit", fits)
	anna.waits("one pane", `return getComputedStyle(document.querySelector(".side")).display === "none"`)
	anna.snap("phone")
	anna.clicks("#back")
	anna.waits("the list", `return getComputedStyle(document.querySelector(".side")).display !== "none" &&
		getComputedStyle(document.querySelector(".pane")).display === "none"`)
	anna.waits("the list to fit", `return document.querySelector("#talks .count") !== null && document.querySelector(".app").scrollWidth <= 360 &&
		["#leave", "#find button", "#talks time", "#talks .count"].every((s) => document.querySelector(s).getBoundingClientRect().right <= 360)`)
	anna.snap("phone-list")
}

func TestPageKeyboard(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--queue", "memory:")
	anna := newPerson(t, "anna")
	anna.signIn(s.url)
	anna.talksTo("bob")
	anna.waits("the field to have the focus", `return document.activeElement.id === "text"`)
	const shift, release = "\ue008", "\ue000"
	anna.types("#text", "one"+shift+browser.Enter+release+"two"+browser.Enter)
	anna.sees("one\ntwo")
	anna.waits("the field to be empty", `return document.querySelector("#text").value === "" && document.activeElement.id === "text"`)
	var unlabeled []string
	anna.evals(&unlabeled, `return [...document.querySelectorAll("button, input, textarea")]
		.filter((e) => e.offsetParent !== null && !e.textContent.trim() && !e.ariaLabel && !e.labels?.length).map((e) => e.outerHTML)`)
	if len(unlabeled) > 0 {
		t.Errorf("controls without a label: %q", unlabeled)
	}
}

func TestPageSignsInWithAToken(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--queue", "memory:", "--jwt-secret-file", secretFile(t))
	anna := newPerson(t, "anna")
	anna.goTo(s.url)
	anna.waits("the form for a token", `return document.querySelector("#by-name").hidden && !document.querySelector("#by-token").hidden`)
	anna.types("#token", "no token")
	anna.clicks("button.primary")
	anna.waits("being told", `return document.querySelector("#sign-in-error").textContent.includes("no token")`)

	good := token(t, jwt.MapClaims{"sub": "anna"})
	anna.evals(nil, `document.querySelector("#token").value = arguments[0]`, good[:len(good)-4]+"AAAA")
	anna.clicks("button.primary")
	anna.waits("being told why", `return document.querySelector("#banner-text").textContent.includes("not signed")`)
	anna.snap("token-refused")
	anna.clicks("#banner-action")
	anna.waits("the form", `return !document.querySelector("#sign-in").hidden`)
	anna.evals(nil, `document.querySelector("#token").value = arguments[0]`, good)
	anna.clicks("button.primary")
	anna.connected()
	anna.talksTo("anna") // a note to oneself
	anna.says("a note")
	anna.seesState("a note", "delivered")
	if got := anna.texts(); len(got) != 1 {
		t.Errorf("a note to oneself stands there as %q, want it once", got)
	}
	anna.must("reload", anna.window.Reload(within(t, stepTimeout)))
	anna.connected()
	anna.sees("a note")
	var kept bool
	anna.evals(&kept, `return JSON.stringify(Object.entries(localStorage)).includes(arguments[0])`, good)
	if kept {
		t.Error("the token is kept longer than the tab")
	}
}

// What a newcomer sees: three who wrote, one conversation open, in light and in dark, at a desk and on a phone.
func TestPageLooks(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--queue", "disk:"+t.TempDir())
	anna, bob := newPerson(t, "Anna"), newPerson(t, "Bob")
	for _, p := range []*person{anna, bob} {
		p.must("set the screen", p.window.Screen(within(t, stepTimeout), 1120, 720, 2, false))
	}
	anna.goTo(s.url)
	anna.waits("the form", `return !document.querySelector("#sign-in").hidden`)
	anna.snap("sign-in")
	anna.signIn(s.url)
	anna.snap("empty")
	anna.talksTo("Dario")
	anna.says("The room is booked for Thursday, seven o'clock")
	for _, hello := range [][2]string{{"Carla", "Did you get the tickets?"}, {"Mei", "See you tomorrow 👋"}} {
		c := dial(t, s, "?channel="+hello[0], nil)
		c.send(`{"id":"1","type":"direct","dest":"Anna","data":{"text":"` + hello[1] + `"}}`)
		c.waitsFor(100)
	}
	bob.signIn(s.url)
	bob.talksTo("Anna")
	anna.talksTo("Bob")
	for _, line := range []struct {
		who  *person
		text string
	}{
		{bob, "Hi Anna! Are you coming to the lesson tonight?"},
		{anna, "Yes, but my train is late"},
		{anna, "Could you keep a place for me?"},
		{bob, "Of course. We start with the basic step and a turn, so you won't miss much."},
		{bob, "💃"},
		{anna, "Great, thank you!"},
		{bob, "I lose the network in the tunnel, just write, I get it afterwards"},
	} {
		line.who.says(line.text)
		line.who.seesState(line.text, "delivered")
	}
	bob.goTo("about:blank")
	anna.says("Perfect. I'm at the station now")
	anna.says("Ten minutes!")
	anna.seesState("Ten minutes!", "accepted")
	anna.waits("two unread conversations", `return document.querySelectorAll("#talks .count").length === 2`)
	for _, look := range []struct {
		name          string
		width, height int
		dark          bool
	}{
		{"screenshot", 1120, 720, false},
		{"screenshot-dark", 1120, 720, true},
		{"phone-light", 375, 740, false},
	} {
		anna.must("set the screen", anna.window.Screen(within(t, stepTimeout), look.width, look.height, 2, look.dark))
		anna.waits("the layout", `return innerWidth === arguments[0]`, look.width)
		anna.evals(nil, `document.activeElement.blur(); document.querySelector("#log").scrollTop = 1e6`)
		anna.snap(look.name)
		anna.waits("everything to fit", `return document.documentElement.scrollWidth <= innerWidth`)
	}
	anna.hasNoProblems()
}
