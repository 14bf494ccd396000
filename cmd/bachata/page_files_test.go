package main

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestPageFiles(t *testing.T) {
	t.Parallel()
	p, err := newPage("token")
	if err != nil {
		t.Fatal(err)
	}
	get := func(method, path, etag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("If-None-Match", etag)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		return w
	}
	for _, tt := range []struct {
		method, path string
		status       int
		contentType  string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/", 200, "text/html; charset=utf-8"},
		{"GET", "/app.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/style.css", 200, "text/css; charset=utf-8"},
		{"GET", "/icon.svg", 200, "image/svg+xml"},
		{"GET", "/index.html", 404, ""},
		{"GET", "/../page.go", 404, ""},
		{"GET", "/nothing", 404, ""},
		{"POST", "/", 405, ""},
	} {
		w := get(tt.method, tt.path, "")
		if w.Code != tt.status || tt.contentType != "" && w.Header().Get("Content-Type") != tt.contentType {
			t.Errorf("%s %s = %d %q, want %d %q", tt.method, tt.path, w.Code, w.Header().Get("Content-Type"), tt.status, tt.contentType)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "frame-ancestors 'none'", "Referrer-Policy": "no-referrer",
		} {
			if got := w.Header().Get(name); !strings.Contains(got, want) {
				t.Errorf("%s %s: %s = %q, want %q in it", tt.method, tt.path, name, got, want)
			}
		}
		if strings.Contains(w.Header().Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("the content security policy allows something unsafe")
		}
	}
	first := get("GET", "/", "")
	if !strings.Contains(first.Body.String(), `data-sign-in="token"`) {
		t.Error("the page does not know that it is to ask for a token")
	}
	if again := get("GET", "/", first.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("asked for again: %d with %d bytes, want 304 with none", again.Code, again.Body.Len())
	}
}

// The page works without the internet, and nothing that is typed can become HTML by way of these.
func TestPageUsesNothingDangerousOrForeign(t *testing.T) {
	t.Parallel()
	p, err := newPage("name")
	if err != nil {
		t.Fatal(err)
	}
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://[^w]|url\(|@import|\sstyle=|\son[a-z]+="`)
	for path, f := range p.files {
		if found := forbidden.FindString(string(f.body)); found != "" {
			t.Errorf("%s holds %q", path, found)
		}
	}
}
