package main

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func readRoot(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// block returns the lines below the one that begins with head, as far as they are indented.
func block(t *testing.T, text, head string) string {
	t.Helper()
	_, rest, ok := strings.Cut("\n"+text, "\n"+head)
	if !ok {
		t.Fatalf("compose.yaml has no %q", head)
	}
	var b strings.Builder
	for i, line := range strings.Split(rest, "\n") {
		if i > 0 && line != "" && line[0] != ' ' {
			break
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// What compose.yaml tells a node is what a node takes, and the proxy asks where a node answers.
func TestComposeFile(t *testing.T) {
	t.Parallel()
	compose := readRoot(t, "compose.yaml")
	node := block(t, compose, "x-bachata:")
	_, command, _ := strings.Cut(node, "\n  command:\n    - serve\n")
	var args []string
	for line := range strings.Lines(command) {
		line = strings.TrimSpace(line)
		if arg, ok := strings.CutPrefix(line, "- "); ok {
			args = append(args, arg)
		} else if !strings.HasPrefix(line, "#") {
			break
		}
	}
	o, err := parseOptions(args, nil)
	if err != nil {
		t.Fatalf("serve %q: %v", args, err)
	}
	if o.queue.kind != "redis" || o.redisPasswordFile != "/run/secrets/redis-bachata" {
		t.Errorf("serve %q = %+v, want a Redis with a password from a file", args, o)
	}

	grace := regexp.MustCompile(`\n  stop_grace_period: (\w+)\n`).FindStringSubmatch(node)
	if grace == nil {
		t.Fatal("a node has no stop_grace_period")
	}
	if d, err := time.ParseDuration(grace[1]); err != nil || d < drainTimeout+3*time.Second {
		t.Errorf("stop_grace_period is %s, %v, want some seconds more than the %v of the drain", grace[1], err, drainTimeout)
	}
	if !strings.Contains(node, "/healthz") {
		t.Error("the health check of a node does not ask /healthz")
	}
	volume := regexp.MustCompile(`\nVOLUME (.+)\n`).FindStringSubmatch(readRoot(t, "Dockerfile"))
	if volume == nil || !strings.Contains(node, "\n  tmpfs: ["+volume[1]+"]\n") {
		t.Errorf("a node has no tmpfs in place of the image's volume %q", volume)
	}

	_, port, err := net.SplitHostPort(o.listen)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^  (bachata-\d+): \*bachata$`).FindAllStringSubmatch(compose, -1) {
		want = append(want, "    server "+m[1]+" "+m[1]+":"+port)
	}
	if len(want) < 3 {
		t.Errorf("compose.yaml has the nodes %q, want three", want)
	}
	proxy := readRoot(t, "deploy/haproxy/haproxy.cfg")
	for _, backend := range []string{"nodes", "any"} {
		_, servers, _ := strings.Cut(proxy, "\nbackend "+backend+"\n")
		servers, _, _ = strings.Cut(servers, "\n\n")
		if got := regexp.MustCompile(`(?m)^    server .*$`).FindAllString(servers, -1); !slices.Equal(got, want) {
			t.Errorf("backend %s of haproxy.cfg has the servers %q, compose.yaml has the nodes %q", backend, got, want)
		}
	}
	if !strings.Contains(proxy, "\n    option httpchk GET /healthz\n") {
		t.Error("haproxy.cfg does not ask /healthz")
	}
}

// A server of the cluster that comes back finds its address free: the others get theirs from another part of the network.
func TestComposeAddresses(t *testing.T) {
	t.Parallel()
	compose := readRoot(t, "compose.yaml")
	ipam := regexp.MustCompile(`\{ subnet: (\S+), ip_range: (\S+) \}`).FindStringSubmatch(compose)
	if ipam == nil {
		t.Fatal("compose.yaml has no subnet with an ip_range")
	}
	subnet, dynamic := netip.MustParsePrefix(ipam[1]), netip.MustParsePrefix(ipam[2])
	if !subnet.Overlaps(dynamic) || dynamic.Bits() <= subnet.Bits() {
		t.Errorf("ip_range %v is no part of %v", dynamic, subnet)
	}
	fixed := regexp.MustCompile(`ipv4_address: (\S+) `).FindAllStringSubmatch(compose, -1)
	if len(fixed) != 6 {
		t.Errorf("%d servers have an address, want 6", len(fixed))
	}
	for _, m := range fixed {
		if a := netip.MustParseAddr(m[1]); !subnet.Contains(a) || dynamic.Contains(a) {
			t.Errorf("%v is not in %v beside %v", a, subnet, dynamic)
		}
		if !strings.Contains(block(t, compose, "services:"), " "+m[1]+":6379") {
			t.Errorf("cluster.sh is not given %s", m[1])
		}
	}
}

// deploy/secrets.sh makes passwords once, and what the users inside of the containers read readable.
func TestSecretsScript(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../deploy")); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(dir, "redis", "start.sh")
	for path, mode := range map[string]os.FileMode{closed: 0o600, filepath.Dir(closed): 0o700} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "secrets")); err != nil {
		t.Fatal(err)
	}
	names := []string{"redis-admin", "redis-bachata"}
	passwords := map[string]bool{}
	for range 2 {
		if out, err := exec.Command("sh", filepath.Join(dir, "secrets.sh")).CombinedOutput(); err != nil {
			t.Fatalf("secrets.sh: %v, %s", err, out)
		}
		for _, name := range names {
			b, err := os.ReadFile(filepath.Join(dir, "secrets", name))
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(`^[0-9a-f]{48}$`).Match(b) {
				t.Errorf("%s is %q, want 48 hexadecimal digits", name, b)
			}
			passwords[string(b)] = true
		}
	}
	if len(passwords) != len(names) {
		t.Errorf("there were %d passwords, want %d that stay the same", len(passwords), len(names))
	}
	for path, want := range map[string]os.FileMode{closed: 0o644, filepath.Dir(closed): 0o755, filepath.Join(dir, "secrets"): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("mode of %s is %v, %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
}

// What the image is built of has to come through .dockerignore.
func TestImageHasAllPackages(t *testing.T) {
	t.Parallel()
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	const module = "github.com/bachata-go/bachata/"
	list, err := exec.Command(goTool, "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	kept := strings.Fields(readRoot(t, ".dockerignore"))
	for _, path := range strings.Fields(string(list)) {
		if dir, ok := strings.CutPrefix(path, module); ok {
			top, _, _ := strings.Cut(dir, "/")
			if !slices.Contains(kept, "!"+top) {
				t.Errorf("the server needs %s, and .dockerignore does not keep %s", path, top)
			}
		}
	}
	docker := readRoot(t, "Dockerfile")
	for _, part := range []string{"CGO_ENABLED=0 ", " ./cmd/bachata\n", "\nUSER bachata\n", "/healthz"} {
		if !strings.Contains(docker, part) {
			t.Errorf("Dockerfile has no %q", part)
		}
	}
}

// Who looks for an error in docs/redis.md finds it by words that the error has.
func TestErrorsOfRedisPage(t *testing.T) {
	t.Parallel()
	errorsOfPage(t, "docs/redis.md", "Errors by their text", 20, "cmd/bachata/redis.go", "redis/*.go")
}

// So does who looks for what the log says in docs/disk.md.
func TestErrorsOfDiskPage(t *testing.T) {
	t.Parallel()
	errorsOfPage(t, "docs/disk.md", "The log", 10, "*.go", "cmd/bachata/serve.go", "disk/*.go", "internal/inbox/*.go", "internal/seglog/*.go")
}

// errorsOfPage looks for what the tables under a heading of a page have, at least so many rows of it, in source files.
func errorsOfPage(t *testing.T, name, heading string, least int, patterns ...string) {
	t.Helper()
	var source strings.Builder
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(b)
		}
	}
	_, errors, _ := strings.Cut(readRoot(t, name), "\n## "+heading+"\n")
	errors, _, _ = strings.Cut(errors, "\n## ")
	rows := 0
	quoted := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(errors) {
		cell, ok := strings.CutPrefix(line, "| `")
		if !ok {
			continue
		}
		cell, _, _ = strings.Cut("`"+cell, " |")
		rows++
		for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
			text := m[1]
			if word, _, _ := strings.Cut(text, " "); word == strings.ToUpper(word) && len(word) > 2 {
				continue // the server's own
			}
			// What stands for a number, or a name, is not in the source.
			text = strings.NewReplacer("after 2s 0 of 1", "after %v %d of %d", "after 2s", "after %v", "7.0", "%d.%d").Replace(text)
			if !strings.Contains(source.String(), text) {
				t.Errorf("%s explains the error %q, which nothing says", name, m[1])
			}
		}
	}
	if rows < least {
		t.Errorf("%s explains %d errors, want at least %d", name, rows, least)
	}
}
