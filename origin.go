package bachata

import (
	"net/http"
	"net/url"
	"strings"
)

// originAllowed reports whether the page that makes the request may connect (see Handler.CheckOrigin).
func (h *Handler) originAllowed(r *http.Request) bool {
	if h.CheckOrigin != nil {
		return h.CheckOrigin(r)
	}
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		// No browser leaves it out. A cookie is still refused: where it authenticates, a program has no use for it
		// here, and a proxy that strips the Origin would let every page in.
		return len(r.Header.Values("Cookie")) == 0
	}
	if len(origins) > 1 {
		return false
	}
	for _, allowed := range h.Origins {
		if allowed == "*" {
			return true
		}
	}
	origin, ok := parseOrigin(origins[0])
	if !ok {
		return false
	}
	for _, allowed := range h.Origins {
		if a, ok := parseOrigin(allowed); ok && a == origin {
			return true
		}
	}
	if r.TLS != nil && origin.scheme != "https" {
		return false
	}
	return origin.host == withoutPort(r.Host, origin.scheme)
}

// webOrigin is an origin (RFC 6454) in a form that can be compared: lower case, the default port left out.
type webOrigin struct{ scheme, host string }

// parseOrigin reads an Origin. "null" and all that is not scheme://host[:port] is none.
func parseOrigin(s string) (webOrigin, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || !strings.EqualFold(s, u.Scheme+"://"+u.Host) {
		return webOrigin{}, false
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return webOrigin{}, false
	}
	return webOrigin{u.Scheme, withoutPort(u.Host, u.Scheme)}, true
}

// withoutPort returns host in lower case and without the default port of scheme.
func withoutPort(host, scheme string) string {
	host = strings.ToLower(host)
	if scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}
