//go:build unix

package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/golang-jwt/jwt/v5"
)

// runs runs the program to its end and returns the exit code and what it wrote.
func runs(t *testing.T, env []string, args ...string) (code int, output string) {
	t.Helper()
	path, err := shared.binary()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(within(t, stepTimeout), path, args...)
	command.Env = append(os.Environ(), env...)
	// The exit code says whether it went well.
	out, _ := command.CombinedOutput()
	return command.ProcessState.ExitCode(), string(out)
}

func wants(t *testing.T, output string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(output, part) {
			t.Errorf("output has no %q:\n%s", part, output)
		}
	}
}

func get(t *testing.T, url, host string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(within(t, stepTimeout), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var text strings.Builder
	if _, err := fmt.Fprint(&text, response.Status); err != nil {
		t.Fatal(err)
	}
	var report map[string]any
	if json.NewDecoder(response.Body).Decode(&report) == nil {
		fmt.Fprint(&text, report)
	}
	return response.StatusCode, text.String()
}

func TestStartUpSaysWhatMatters(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "queue")
	s := startServer(t, "--queue", "disk:"+dir)
	wants(t, s.output(), "page ", s.url, "ws://"+s.address+"/messages?channel=NAME", "disk:"+dir, "reliable",
		"survives kill -9 and power loss", "anyone on this machine")
	simple := startServer(t, "--queue", "memory:", "--simple")
	wants(t, simple.output(), "memory: (simple)")
	open := startServer(t, "--queue", "memory:", "--allow-anyone-to-read-any-channel")
	wants(t, open.output(), "anyone on this machine") // as long as it listens on loopback
	keyed := startServer(t, "--queue", "memory:", "--jwt-secret-file", secretFile(t))
	wants(t, keyed.output(), "HS256", "ws://"+keyed.address+"/messages\n")

	code, output := runs(t, nil, "serve", "--listen", "0.0.0.0:0", "--queue", "memory:")
	wants(t, output, "--listen", "--allow-anyone-to-read-any-channel", "--help")
	if code != 2 {
		t.Errorf("open channels for everybody: exit code %d, want 2", code)
	}
}

// TestJSONLogIsNothingElse has a program read all that the server writes.
func TestJSONLogIsNothingElse(t *testing.T) {
	t.Parallel()
	path, err := shared.binary()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(within(t, stepTimeout), path, "serve", "--listen", "127.0.0.1:0", "--queue", "memory:", "--log", "info,json")
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	command.Stdout, command.Stderr = writer, writer
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	var messages []string
	for lines := bufio.NewScanner(reader); lines.Scan(); {
		var line struct{ Msg, Page, Accepted string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Errorf("%q is no line of JSON: %v", lines.Text(), err)
		}
		messages = append(messages, line.Msg)
		if len(messages) > 1 {
			continue
		}
		if status, _ := get(t, line.Page+"healthz", ""); status != 200 || line.Accepted == "" {
			t.Errorf("health at %s: %d; accepted means %q", line.Page, status, line.Accepted)
		}
		if err := command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	if err := command.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if got := strings.Join(messages, ", "); got != "server started, server stops" {
		t.Errorf("the log says %q, want that it started and stops", got)
	}
}

func TestStartUpErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "queue")
	s := startServer(t, "--queue", "disk:"+dir)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		env  []string
		args []string
		code int
		want []string
	}{
		{"port taken", nil, []string{"serve", "--listen", s.address, "--queue", "memory:"}, 1, []string{"--listen", s.address, "taken", "another port"}},
		{"port taken, by a variable", []string{"BACHATA_LISTEN=" + s.address}, []string{"serve", "--queue", "memory:"}, 1, []string{"BACHATA_LISTEN", "taken"}},
		{"folder in use", nil, []string{"serve", "--listen", "127.0.0.1:0", "--queue", "disk:" + dir}, 1, []string{"--queue", dir, "in use"}},
		{"folder in use, for the checker", nil, []string{"disk", "check", dir}, 1, []string{dir, "stop the server"}},
		{"a file where the folder should be", nil, []string{"serve", "--listen", "127.0.0.1:0", "--queue", "disk:" + file}, 1, []string{"--queue", file, "no folder"}},
		{"a file to check", nil, []string{"disk", "check", file}, 1, []string{file, "no disk queue"}},
		{"no such key", nil, []string{"serve", "--jwt-secret-file", file + ".missing"}, 2, []string{"--jwt-secret-file", "can't be opened"}},
		{"bad variable", []string{"BACHATA_MAX_MESSAGE=much"}, []string{"serve"}, 2, []string{"BACHATA_MAX_MESSAGE", `"much"`, "16MiB", "--help"}},
		{"unknown flag", nil, []string{"serve", "--lisen", ":0"}, 2, []string{`"--lisen"`, "--listen"}},
		{"unknown command", nil, []string{"server"}, 2, []string{`"server"`, "bachata serve"}},
		{"no command", nil, nil, 2, []string{"bachata serve"}},
		{"help", nil, []string{"help"}, 0, []string{"bachata disk check"}},
		{"help of serve", nil, []string{"help", "serve"}, 0, []string{"--inbox-age"}},
		{"help of disk", nil, []string{"help", "disk"}, 0, []string{"bachata disk check DIR"}},
		{"help of nothing", nil, []string{"help", "server"}, 2, []string{`"server"`, "bachata help"}},
		{"version", nil, []string{"version"}, 0, []string{"bachata ", "go1."}},
		{"nothing to check", nil, []string{"disk", "check"}, 2, []string{"bachata disk check DIR", "takes one folder", "given 0"}},
		{"nothing to do with a disk", nil, []string{"disk"}, 2, []string{"check or salvage"}},
		{"something else to do with a disk", nil, []string{"disk", "mend", dir}, 2, []string{`"mend"`, "check or salvage"}},
		{"a folder as the secret", nil, []string{"serve", "--jwt-secret-file", filepath.Dir(file)}, 2, []string{"--jwt-secret-file", "can't be read: is a directory"}},
		{"nothing to salvage", nil, []string{"disk", "salvage", file}, 2, []string{"bachata disk salvage DIR NEW", "takes two folders", "given 1"}},
		{"no queue to salvage", nil, []string{"disk", "salvage", filepath.Dir(file), filepath.Dir(file) + ".new"}, 1, []string{"no disk queue"}},
		{"salvage into a file", nil, []string{"disk", "salvage", dir, file}, 1, []string{file, "not there yet"}},
		{"salvage below a file", nil, []string{"disk", "salvage", dir, filepath.Join(file, "new")}, 1, []string{"make queue", file, "new"}},
		{"salvage into itself", nil, []string{"disk", "salvage", dir, filepath.Join(dir, "new")}, 1, []string{"make queue", "not to be changed"}},
		{"salvage of what is in use", nil, []string{"disk", "salvage", dir, file + ".new"}, 1, []string{dir, "stop the server"}},
		{"no queue to check", nil, []string{"disk", "check", filepath.Dir(file)}, 1, []string{"no disk queue"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, output := runs(t, tt.env, tt.args...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			wants(t, output, tt.want...)
		})
	}
}

func TestServeAnswersOverHTTP(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--queue", "disk:"+t.TempDir())
	for _, tt := range []struct {
		path, host string
		status     int
		body       string
	}{
		{"", "", 200, ""},
		{"healthz", "", 200, "status:ok"},
		{"messages?channel=anna", "", 426, ""}, // no WebSocket
		{"nothing", "", 404, ""},
		{"", "rebound.example", 403, ""},
		{"healthz", "rebound.example", 403, ""},
	} {
		status, body := get(t, s.url+tt.path, tt.host)
		if status != tt.status || !strings.Contains(body, tt.body) {
			t.Errorf("GET /%s of host %q = %d %s, want %d with %q", tt.path, tt.host, status, body, tt.status, tt.body)
		}
	}
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	answer := make([]byte, 12)
	if _, err := conn.Read(answer); err != nil || string(answer) != "HTTP/1.1 431" {
		t.Errorf("a header of 64 KiB is answered %q, %v, want 431", answer, err)
	}
}

func TestServeCompresses(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		args := []string{"--queue", "memory:"}
		if on {
			args = append(args, "--compress")
		}
		s := startServer(t, args...)
		d := ws.Dialer{}
		d.Extensions = append(d.Extensions, wsflate.Parameters{ClientMaxWindowBits: 1}.Option())
		conn, _, handshake, err := d.Dial(within(t, stepTimeout), "ws://"+s.address+"/messages?channel=anna")
		if err != nil {
			t.Fatalf("dial: %v", err)
		}
		conn.Close()
		if got := len(handshake.Extensions) == 1; got != on {
			t.Errorf("with %q, compression was agreed on: %v", args, got)
		}
	}
}

// A message on its way when the server is told to stop may still be confirmed, and that is kept.
func TestSignalDrains(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--queue", "disk:"+t.TempDir())
	anna, bob := dial(t, s, "?channel=anna", nil), dial(t, s, "?channel=bob", nil)
	anna.send(`{"id":"m1","type":"direct","dest":"bob","data":"hi"}`)
	anna.waitsFor(100)
	for text := ""; !strings.Contains(text, `"m1"`); {
		text, _ = bob.next()
	}
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	bob.waitsFor(1003)
	if status, body := get(t, s.url+"healthz", ""); status != 503 || !strings.Contains(body, "draining") {
		t.Errorf("health while draining = %d %s, want 503 draining", status, body)
	}
	endsWhenConfirmed(t, s, bob)
	s.start()
	if receipt := dial(t, s, "?channel=anna", nil).waitsFor(300); receipt["data"] != "m1" || receipt["from"] != "bob" {
		t.Errorf("after the restart anna got %v, want the receipt of m1 from bob", receipt)
	}
}

// startWithMessage starts a server and connects bob, for whom a message waits that he has not confirmed.
func startWithMessage(t *testing.T) (s *server, bob *client) {
	t.Helper()
	s = startServer(t, "--queue", "memory:")
	anna, bob := dial(t, s, "?channel=anna", nil), dial(t, s, "?channel=bob", nil)
	anna.send(`{"id":"m1","type":"direct","dest":"bob","data":"hi"}`)
	anna.waitsFor(100)
	bob.waitsFor(1000)
	return s, bob
}

// endsWhenConfirmed confirms, for bob, what a server that drains waits for, and sees it end.
func endsWhenConfirmed(t *testing.T, s *server, bob *client) {
	t.Helper()
	bob.send(`{"type":200,"data":"m1"}`)
	if _, code := bob.next(); code != 1001 {
		t.Errorf("closed with %d, want 1001", code)
	}
	<-s.ended
	if code := s.command.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0: %s", code, s.output())
	}
}

// TestClosedTerminalDrains has the server hang up as a terminal does when it is closed.
func TestClosedTerminalDrains(t *testing.T) {
	t.Parallel()
	s, bob := startWithMessage(t)
	if err := s.command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	bob.waitsFor(1003)
	if err := s.command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	endsWhenConfirmed(t, s, bob)
}

// TestNohup has the server started so that it outlives its terminal.
func TestNohup(t *testing.T) {
	t.Parallel()
	path, err := shared.binary()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(within(t, stepTimeout), "sh", "-c", `trap "" HUP; exec "$0" serve --listen 127.0.0.1:0 --queue memory:`, path)
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Ctrl-C") {
		continue
	}
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGTERM} {
		if err := command.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	for lines.Scan() {
		continue
	}
	if err := command.Wait(); err != nil {
		t.Errorf("after SIGHUP and SIGTERM: %v, want that the first is ignored", err)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	s, bob := startWithMessage(t)
	if err := s.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	bob.waitsFor(1003) // and does not confirm
	if code := s.signal(os.Interrupt); code != -1 {
		t.Errorf("exit code %d, want none: it drained, though told twice", code)
	}
}

func secretFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(testSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const testSecret = "a secret for tests, of more than 32 bytes"

func token(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// upgrades returns the status with which a handshake is answered.
func upgrades(t *testing.T, s *server, header http.Header) int {
	t.Helper()
	r, err := http.NewRequestWithContext(within(t, stepTimeout), http.MethodGet, s.url+"/messages", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header.Clone()
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func TestServeWithTokens(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--queue", "memory:", "--jwt-secret-file", secretFile(t), "--origins", "https://app.example", "--log", "debug")
	anna := token(t, jwt.MapClaims{"sub": "anna"})
	bearer := http.Header{"Authorization": {"Bearer " + anna}}

	byHeader := dial(t, s, "", bearer)
	if ready := byHeader.waitsFor(1000); ready["from"] != "anna" {
		t.Errorf("1000 = %v, want it from anna", ready)
	}
	bySubprotocol := dial(t, s, "", nil, "bachata", "bearer."+anna)
	bySubprotocol.waitsFor(1000)
	if bySubprotocol.protocol != "bachata" {
		t.Errorf("agreed on subprotocol %q, want bachata", bySubprotocol.protocol)
	}
	// What a token says counts, not what the client writes.
	byHeader.send(`{"id":"1","type":"direct","dest":"anna","from":"bob","data":"hi"}`)
	for {
		text, _ := byHeader.next()
		if strings.Contains(text, `"data":"hi"`) {
			if !strings.Contains(text, `"from":"anna"`) {
				t.Errorf("received %s, want it from anna", text)
			}
			break
		}
	}
	for _, tt := range []struct {
		name, query string
		header      http.Header
		code        int
		reason      string
	}{
		{"no token", "", nil, 4401, "no token"},
		{"open channel", "?channel=anna", nil, 4401, "no token"},
		{"bad token", "", http.Header{"Authorization": {"Bearer " + anna[:len(anna)-4] + "AAAA"}}, 4401, "not signed"},
		{"expired", "", http.Header{"Authorization": {"Bearer " + token(t, jwt.MapClaims{"sub": "anna", "exp": 1})}}, 4401, "expired"},
		{"another channel", "?channel=bob", bearer, 4403, "another channel"},
	} {
		if reason, code := dial(t, s, tt.query, tt.header).next(); code != tt.code || !strings.Contains(reason, tt.reason) {
			t.Errorf("%s: closed with %d %q, want %d with %q", tt.name, code, reason, tt.code, tt.reason)
		}
	}
	for origin, want := range map[string]int{"https://app.example": http.StatusSwitchingProtocols, "http://" + s.address: http.StatusSwitchingProtocols, "https://other.example": http.StatusForbidden} {
		if got := upgrades(t, s, http.Header{"Authorization": bearer["Authorization"], "Origin": {origin}}); got != want {
			t.Errorf("a page of %s is answered with status %d, want %d", origin, got, want)
		}
	}
	expiring := dial(t, s, "", http.Header{"Authorization": {"Bearer " + token(t, jwt.MapClaims{"sub": "anna", "exp": time.Now().Unix() + 2})}})
	expiring.waitsFor(1000)
	for code := 0; code == 0; {
		if _, code = expiring.next(); code != 0 && code != 4401 {
			t.Errorf("closed with %d at the token's end, want 4401", code)
		}
	}
	s.kill()
	for _, part := range strings.Split(anna, ".") {
		if strings.Contains(s.output(), part[:12]) && part != strings.Split(anna, ".")[0] {
			t.Errorf("the output holds a part of a token: %s", s.output())
		}
	}
	if strings.Contains(s.output(), testSecret) || strings.Contains(s.output(), `"hi"`) {
		t.Errorf("the output holds the secret or a message: %s", s.output())
	}
	wants(t, s.output(), `msg="connection refused"`, `msg="a page of another origin may not connect" origin=https://other.example host=`+s.address)
}

func TestDiskCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startServer(t, "--queue", "disk:"+dir)
	anna := dial(t, s, "?channel=anna", nil)
	for i := range 3 {
		anna.send(fmt.Sprintf(`{"id":"m%d","type":"direct","dest":"bob","data":"hello"}`, i))
		anna.waitsFor(100)
	}
	s.signal(syscall.SIGTERM)
	code, output := runs(t, nil, "disk", "check", dir)
	wants(t, output, "3 messages", "no damage")
	if code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}

	// One byte of the first message's text.
	segments, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	damaged := false
	for _, path := range segments {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if i := strings.Index(string(text), "hello"); i >= 0 && !damaged {
			damaged = true
			text[i] ^= 1
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !damaged {
		t.Fatal("found no message in the log")
	}
	code, output = runs(t, nil, "disk", "check", dir)
	wants(t, output, "DAMAGED", ".seg", "offset", "bachata disk salvage "+dir)
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	code, output = runs(t, nil, "serve", "--listen", "127.0.0.1:0", "--queue", "disk:"+dir)
	wants(t, output, "--queue", "offset", "bachata disk check "+dir, "bachata disk salvage "+dir)
	if code != 1 {
		t.Errorf("serve on a damaged queue: exit code %d, want 1", code)
	}

	saved := filepath.Join(t.TempDir(), "saved")
	code, output = runs(t, nil, "disk", "salvage", dir, saved)
	wants(t, output, "2 messages", "DAMAGED", ".seg", "--queue disk:"+saved)
	if code != 0 {
		t.Errorf("salvage: exit code %d, want 0", code)
	}
	code, output = runs(t, nil, "disk", "salvage", dir, saved)
	wants(t, output, "there is something in", saved)
	if code != 1 {
		t.Errorf("salvage into what is there: exit code %d, want 1", code)
	}
	s = startServer(t, "--queue", "disk:"+saved)
	bob := dial(t, s, "?channel=bob", nil)
	bob.waitsFor(1000)
	for _, id := range []string{"m1", "m2"} {
		if text, _ := bob.next(); !strings.Contains(text, `"`+id+`"`) {
			t.Errorf("bob got %s, want %s", text, id)
		}
	}
}
