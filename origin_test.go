package bachata_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/bachata-go/bachata"
)

// Pages of other origins are refused with 403, whatever theirs looks like, unless they are listed.
func TestOrigin(t *testing.T) {
	t.Parallel()
	anywhere := func(h *bachata.Handler) { h.Origins = []string{"*"} }
	listed := func(h *bachata.Handler) { h.Origins = []string{"https://app.example", "http://local.example:8080"} }
	byHeader := func(h *bachata.Handler) {
		h.CheckOrigin = func(r *http.Request) bool { return r.Header.Get("X-Let-In") != "" }
	}
	tests := []struct {
		name, headers string
		change        func(h *bachata.Handler)
		allowed       bool
	}{
		{"none", "", nil, true},
		{"none, with a cookie", "Cookie: session=1\r\n", nil, false},
		{"same host", "Origin: http://chat.example\r\n", nil, true},
		{"same host, with a cookie", "Origin: http://chat.example\r\nCookie: session=1\r\n", nil, true},
		{"same host, behind a proxy that ends TLS", "Origin: https://chat.example\r\n", nil, true},
		{"same host, default port", "Origin: http://chat.example:80\r\n", nil, true},
		{"same host, upper case", "Origin: HTTP://CHAT.example\r\n", nil, true},
		{"same host, another port", "Origin: http://chat.example:8080\r\n", nil, false},
		{"same host, port of another scheme", "Origin: http://chat.example:443\r\n", nil, false},
		{"foreign", "Origin: https://evil.example\r\n", nil, false},
		{"suffix trick", "Origin: https://chat.example.evil\r\n", nil, false},
		{"prefix trick", "Origin: https://evil-chat.example\r\n", nil, false},
		{"subdomain", "Origin: https://x.chat.example\r\n", nil, false},
		{"user trick", "Origin: https://chat.example@evil.example\r\n", nil, false},
		{"user before the right host", "Origin: https://evil@chat.example\r\n", nil, false},
		{"null", "Origin: null\r\n", nil, false},
		{"empty", "Origin: \r\n", nil, false},
		{"no scheme", "Origin: chat.example\r\n", nil, false},
		{"no host", "Origin: https://\r\n", nil, false},
		{"another scheme", "Origin: file://chat.example\r\n", nil, false},
		{"with a path", "Origin: https://chat.example/\r\n", nil, false},
		{"malformed", "Origin: https://[chat.example\r\n", nil, false},
		{"malformed port", "Origin: http://chat.example:80x\r\n", nil, false},
		{"two", "Origin: http://chat.example\r\nOrigin: http://chat.example\r\n", nil, false},
		{"two in one", "Origin: http://chat.example, https://evil.example\r\n", nil, false},
		{"listed", "Origin: https://app.example\r\n", listed, true},
		{"listed, default port", "Origin: https://app.example:443\r\n", listed, true},
		{"listed, with a port", "Origin: http://local.example:8080\r\n", listed, true},
		{"listed by another scheme", "Origin: http://app.example\r\n", listed, false},
		{"listed with another port", "Origin: http://local.example\r\n", listed, false},
		{"suffix of a listed one", "Origin: https://app.example.evil\r\n", listed, false},
		{"same host, beside a list", "Origin: http://chat.example\r\n", listed, true},
		{"not listed", "Origin: https://evil.example\r\n", listed, false},
		{"anywhere", "Origin: https://evil.example\r\n", anywhere, true},
		{"anywhere, null", "Origin: null\r\n", anywhere, true},
		{"anywhere, two", "Origin: null\r\nOrigin: null\r\n", anywhere, false},
		{"the application says no", "Origin: http://chat.example\r\n", byHeader, false},
		{"the application says yes", "Origin: null\r\nX-Let-In: 1\r\n", byHeader, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, nil, test.change)
			request := strings.Replace(handshake, "Connection:", test.headers+"Connection:", 1)
			want := http.StatusForbidden
			if test.allowed {
				want = http.StatusSwitchingProtocols
			}
			if response, _ := rawRequest(t, url, request); response.StatusCode != want {
				t.Errorf("%q: status %d, want %d", test.headers, response.StatusCode, want)
			}
		})
	}
}

func TestOriginOverTLS(t *testing.T) {
	t.Parallel()
	url := drivers["TLS"](t, nil, nil)
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "wss://"), "/")
	if _, err := tryDial(t, url, http.Header{"Origin": {"https://" + host}}); err != nil {
		t.Errorf("a page of the same host: %v", err)
	}
	if _, err := tryDial(t, url, http.Header{"Origin": {"http://" + host}}); err == nil {
		t.Error("a page that came without TLS was let in over TLS")
	}
}

// TestOriginIsLogged has a page refused again and again. Who runs the server learns of it, and of the Host that it is compared with.
func TestOriginIsLogged(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	url := serve(t, nil, func(h *bachata.Handler) { h.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	for range 20 {
		request := strings.Replace(handshake, "Connection:", "Origin: https://chat.example:8443\r\nCookie: secret\r\nConnection:", 1)
		if response, _ := rawRequest(t, url, request); response.StatusCode != http.StatusForbidden {
			t.Fatalf("status %d, want 403", response.StatusCode)
		}
	}
	text := log.String()
	const want = `level=INFO msg="a page of another origin may not connect" origin=https://chat.example:8443 host=chat.example suppressed=0`
	if n := strings.Count(text, want); n != 1 || strings.Count(text, "\n") > 4 || strings.Contains(text, "secret") {
		t.Errorf("20 refused pages were logged so, want the first, and few more:\n%s", text)
	}
}
