package main

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed web
var webFiles embed.FS

// contentSecurityPolicy lets the page run its own files and talk to its own server, and nothing else. No inline script
// or style is allowed, so that text that gets into the page can't do anything.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page serves the chat page from the files that are built into the program.
type page struct {
	files map[string]pageFile // by URL path
}

type pageFile struct {
	contentType, etag string
	body              []byte
}

// newPage prepares the page; signIn, "name" or "token", says what it asks the user for.
func newPage(signIn string) (*page, error) {
	p := &page{files: make(map[string]pageFile)}
	entries, err := fs.ReadDir(webFiles, "web")
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	for _, e := range entries {
		body, err := webFiles.ReadFile(path.Join("web", e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read page: %w", err)
		}
		at := "/" + e.Name()
		if e.Name() == "index.html" {
			if body, err = renderIndex(body, signIn); err != nil {
				return nil, err
			}
			at = "/"
		}
		sum := sha256.Sum256(body)
		p.files[at] = pageFile{contentType(e.Name()), `"` + hex.EncodeToString(sum[:8]) + `"`, body}
	}
	return p, nil
}

func renderIndex(text []byte, signIn string) ([]byte, error) {
	t, err := template.New("index").Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, struct{ SignIn string }{signIn}); err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	return out.Bytes(), nil
}

// contentType is not asked of the host's tables: a host that knows no .js would break the page.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "application/octet-stream"
}

// ServeHTTP serves the page's files.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	f, found := p.files[r.URL.Path]
	switch {
	case !found:
		http.Error(w, "not found", http.StatusNotFound)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.etag)
	if strings.Contains(r.Header.Get("If-None-Match"), f.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.contentType)
	h.Set("Content-Length", fmt.Sprint(len(f.body)))
	if r.Method == http.MethodGet {
		// A client that went away needs no answer.
		_, _ = w.Write(f.body)
	}
}
