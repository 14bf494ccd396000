package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/bachata-go/bachata"
)

// announce says where the server is, what it promises and who may use it: to people on w, and where the log is of JSON lines,
// which a program reads together with what is on w, as one of those.
func announce(w io.Writer, logger *slog.Logger, o *options, addr net.Addr, info bachata.Info, signed *tokens) {
	host := urlHost(addr)
	socket := "ws://" + host + "/messages?channel=NAME"
	who := "anyone on this machine, under any name (open channels, for trying out)"
	switch {
	case signed != nil:
		socket = "ws://" + host + "/messages"
		who = "whoever has a token signed with the key (" + signed.algorithm + "), under the name in its \"sub\""
	case o.allowAnyone && !isLoopback(addr.String()):
		who = "ANYONE who reaches this address, under any name: everybody can read everybody's messages"
	}
	if o.log.json {
		logger.Info("server started", "version", version(), "page", "http://"+host+"/", "websocket", socket, "health", "http://"+host+"/healthz",
			"queue", place(o.queue), "mode", info.Mode.String(), "accepted", info.Level, "open_to", who)
		return
	}
	var text strings.Builder
	fmt.Fprintf(&text, "Bachata %s\n\n", version())
	for _, line := range [][2]string{
		{"page", "http://" + host + "/"},
		{"websocket", socket},
		{"health", "http://" + host + "/healthz"},
		{"queue", place(o.queue) + " (" + info.Mode.String() + ")"},
		{"accepted", "100 means: " + info.Level},
		{"open to", who},
	} {
		fmt.Fprintf(&text, "  %-10s %s\n", line[0], line[1])
	}
	text.WriteString("\nCtrl-C stops it.\n")
	// There is nobody to tell if this can't be written.
	_, _ = io.WriteString(w, text.String())
}

// announceEnd says that the server was told to stop.
func announceEnd(w io.Writer, logger *slog.Logger, o *options) {
	if o.log.json {
		logger.Info("server stops", "clients_get", drainTimeout.String())
		return
	}
	fmt.Fprintln(w, "Stopping: clients get "+formatDuration(drainTimeout)+" to confirm what they were sent; another signal ends it at once.")
}

// place says where a queue is, wherever the program was started.
func place(q queueSpec) string {
	if q.kind == "disk" {
		if at, err := filepath.Abs(q.at); err == nil {
			q.at = at
		}
	}
	return q.String()
}

// urlHost turns an address that was listened on into one that a browser can open.
func urlHost(addr net.Addr) string {
	text := addr.String()
	if ap, err := netip.ParseAddrPort(text); err == nil && ap.Addr().IsUnspecified() {
		return fmt.Sprintf("localhost:%d", ap.Port())
	}
	return text
}
