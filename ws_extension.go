package bachata

import "strings"

// deflateExtension is the name of permessage-deflate (RFC 7692, section 7).
const deflateExtension = "permessage-deflate"

// negotiateDeflate chooses the first acceptable offer of permessage-deflate from the Sec-WebSocket-Extensions headers
// of a handshake, and returns what agrees to it, empty if there is none. ok is false if a header is not formed as
// RFC 6455, section 9.1, has it.
func negotiateDeflate(headers []string) (agreed string, ok bool) {
	for _, h := range headers {
		in := headerScanner{h}
		for in.more() {
			offer, wellFormed := in.extension()
			if !wellFormed {
				return "", false
			}
			if agreed == "" {
				agreed = offer.accept()
			}
		}
	}
	return agreed, true
}

// extension is one offer of a client's.
type extension struct {
	name   string
	params []extensionParam
}

type extensionParam struct {
	name, value string
	valued      bool // has a value, though it may be empty
}

// accept returns the answer that agrees to an offer of permessage-deflate, or nothing to decline it (RFC 7692, sections
// 5.1 and 7.1). Neither side keeps a window between messages, whether the client asked for that or not.
func (e extension) accept() string {
	if e.name != deflateExtension {
		return ""
	}
	const answer = deflateExtension + "; server_no_context_takeover; client_no_context_takeover"
	agreed := answer
	for i, p := range e.params {
		for _, earlier := range e.params[:i] {
			if earlier.name == p.name {
				return ""
			}
		}
		switch p.name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if p.valued {
				return ""
			}
		case "server_max_window_bits":
			// compress/flate has no smaller window to promise.
			if p.value != "15" {
				return ""
			}
			agreed = answer + "; server_max_window_bits=15"
		case "client_max_window_bits":
			// A client may use any window: the inflater has the largest.
			if p.valued && !isWindowBits(p.value) {
				return ""
			}
		default:
			return ""
		}
	}
	return agreed
}

// isWindowBits reports whether s is 8 to 15, in decimal and without leading zeros.
func isWindowBits(s string) bool {
	switch s {
	case "8", "9", "10", "11", "12", "13", "14", "15":
		return true
	}
	return false
}

// headerScanner takes a header apart; s is what is left of it.
type headerScanner struct{ s string }

// more reports whether there is another element of the list. Empty ones are skipped, as RFC 2616 (section 2.1) has it.
func (in *headerScanner) more() bool {
	in.s = strings.TrimLeft(in.s, " \t,")
	return in.s != ""
}

// extension takes one element and the comma behind it.
func (in *headerScanner) extension() (e extension, ok bool) {
	if e.name = in.token(); e.name == "" {
		return e, false
	}
	for in.take(';') {
		p := extensionParam{name: in.token()}
		if p.name == "" {
			return e, false
		}
		if p.valued = in.take('='); p.valued {
			if p.value, ok = in.value(); !ok {
				return e, false
			}
		}
		e.params = append(e.params, p)
	}
	return e, in.take(',') || in.s == ""
}

// value takes a token, or one in quotes.
func (in *headerScanner) value() (string, bool) {
	if !in.take('"') {
		v := in.token()
		return v, v != ""
	}
	var v []byte
	for i := 0; i < len(in.s); i++ {
		switch c := in.s[i]; {
		case c == '"':
			in.s = in.s[i+1:]
			in.space()
			return string(v), len(v) > 0
		case c == '\\' && i+1 < len(in.s):
			i++
		}
		if !isTokenChar(in.s[i]) {
			return "", false
		}
		v = append(v, in.s[i])
	}
	return "", false
}

func (in *headerScanner) token() string {
	in.space()
	n := 0
	for n < len(in.s) && isTokenChar(in.s[n]) {
		n++
	}
	t := in.s[:n]
	in.s = in.s[n:]
	in.space()
	return t
}

func (in *headerScanner) take(c byte) bool {
	if in.space(); in.s == "" || in.s[0] != c {
		return false
	}
	in.s = in.s[1:]
	return true
}

func (in *headerScanner) space() { in.s = strings.TrimLeft(in.s, " \t") }

// isTokenChar is the alphabet of RFC 2616, section 2.2.
func isTokenChar(c byte) bool {
	return c > ' ' && c < 0x7f && !strings.ContainsRune(`()<>@,;:\"/[]?={}`, rune(c))
}
