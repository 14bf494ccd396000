package bachata

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/gobwas/ws"
)

// checkHandshake reports whether r is a WebSocket handshake (RFC 6455, section 4.2.1); what is none it answers.
func checkHandshake(w http.ResponseWriter, r *http.Request) bool {
	refuse := func(status int, text string) bool {
		if status == http.StatusUpgradeRequired {
			w.Header().Set("Sec-WebSocket-Version", "13")
			if r.ProtoMajor == 1 {
				w.Header().Set("Connection", "Upgrade")
				w.Header().Set("Upgrade", "websocket")
			}
		}
		http.Error(w, text, status)
		return false
	}
	extended := r.ProtoMajor > 1 && r.Method == http.MethodConnect // RFC 8441
	upgrade := hasToken(r.Header, "Connection", "upgrade") && hasToken(r.Header, "Upgrade", "websocket")
	switch key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key")); {
	case extended, upgrade && !r.ProtoAtLeast(1, 1):
		return refuse(http.StatusHTTPVersionNotSupported, "this endpoint speaks WebSocket over HTTP/1.1 only")
	case !upgrade:
		return refuse(http.StatusUpgradeRequired, "this is a WebSocket endpoint for chat messages: connect with a WebSocket client")
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		return refuse(http.StatusMethodNotAllowed, "a WebSocket handshake is a GET")
	case !slices.Equal(r.Header.Values("Sec-WebSocket-Version"), []string{"13"}):
		return refuse(http.StatusUpgradeRequired, "this endpoint speaks version 13 of WebSocket")
	case err != nil || len(key) != 16 || len(r.Header.Values("Sec-WebSocket-Key")) != 1:
		return refuse(http.StatusBadRequest, "the Sec-WebSocket-Key is not 16 bytes in base64, once")
	}
	if _, ok := negotiateDeflate(r.Header.Values("Sec-WebSocket-Extensions")); !ok {
		return refuse(http.StatusBadRequest, "the Sec-WebSocket-Extensions are not a list of extensions")
	}
	if _, ok := subprotocols(r.Header.Values("Sec-WebSocket-Protocol")); !ok {
		return refuse(http.StatusBadRequest, "the Sec-WebSocket-Protocol is not a list of names")
	}
	return true
}

// hasToken reports whether a header, which may be there several times, lists token.
func hasToken(header http.Header, name, token string) bool {
	for _, v := range header.Values(name) {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// subprotocols returns the names in the Sec-WebSocket-Protocol headers of a handshake. ok is false if a header is not formed
// as RFC 6455, section 11.3.4, has it.
func subprotocols(headers []string) (names []string, ok bool) {
	for _, h := range headers {
		in, before := headerScanner{h}, len(names)
		for in.more() {
			name := in.token()
			if name == "" || !in.take(',') && in.s != "" {
				return nil, false
			}
			names = append(names, name)
		}
		if len(names) == before {
			return nil, false
		}
	}
	return names, true
}

// errLeft says that a client was gone before it got its answer.
var errLeft = errors.New("bachata: client left during the handshake")

// upgrade takes the connection over from net/http and answers the handshake. rest is what the client sent behind it,
// deflate says that compression was agreed on. The response to a request that it returns an error for is written.
func (h *Handler) upgrade(w http.ResponseWriter, r *http.Request) (nc net.Conn, rest []byte, deflate bool, err error) {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "this endpoint can't take over its connections", http.StatusInternalServerError)
		return nil, nil, false, fmt.Errorf("hijack connection, which a middleware may prevent: %w", err)
	}
	// Checked and reduced to what counts, for the upgrader looks at the first of repeated headers only.
	handshake := &http.Request{
		Method: http.MethodGet, ProtoMajor: 1, ProtoMinor: 1, Host: r.Host,
		Header: http.Header{
			"Connection":            {"Upgrade"},
			"Upgrade":               {"websocket"},
			"Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key":     {r.Header.Get("Sec-WebSocket-Key")},
		},
	}
	upgrader := ws.HTTPUpgrader{Timeout: h.WriteTimeout}
	// What is not well formed was refused by checkHandshake.
	offered, _ := subprotocols(r.Header["Sec-Websocket-Protocol"])
	if i := slices.IndexFunc(offered, func(name string) bool { return slices.Contains(h.Subprotocols, name) }); i >= 0 {
		handshake.Header["Sec-Websocket-Protocol"] = offered[i : i+1]
		upgrader.Protocol = func(string) bool { return true }
	}
	if handshake.Host == "" {
		handshake.Host = "-" // HTTP/1.1 may have an empty one; it is not used
	}
	if h.Compression != nil {
		if agreed, _ := negotiateDeflate(r.Header["Sec-Websocket-Extensions"]); agreed != "" {
			deflate = true
			upgrader.Header = http.Header{"Sec-Websocket-Extensions": {agreed}}
		}
	}
	if _, _, _, err := upgrader.Upgrade(handshake, hijacked{w, nc, rw}); err != nil {
		_ = nc.Close()
		return nil, nil, false, fmt.Errorf("%w: %w", errLeft, err)
	}
	setNoDelay(nc)
	if n := rw.Reader.Buffered(); n > 0 {
		rest = make([]byte, n)
		_, err = io.ReadFull(rw.Reader, rest)
	}
	return nc, rest, deflate, err
}

// hijacked is the ResponseWriter of a connection that is hijacked already.
type hijacked struct {
	http.ResponseWriter
	net net.Conn
	rw  *bufio.ReadWriter
}

// Hijack returns the connection.
func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.net, h.rw, nil }

// setNoDelay has small frames sent at once, also by listeners that had it off.
func setNoDelay(nc net.Conn) {
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok { // TLS
		nc = t.NetConn()
	}
	if tcp, ok := nc.(interface{ SetNoDelay(bool) error }); ok {
		_ = tcp.SetNoDelay(true)
	}
}
