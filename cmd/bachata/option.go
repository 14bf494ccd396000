package main

import (
	"strings"
	"time"
)

// option is one flag of `bachata serve`, and the variable that stands for it.
type option struct {
	name, arg, def, help string
	boolean              bool // may stand without a value
	variable             bool // has no flag: other users of a machine can see those
	set                  func(o *options, value string) error
	redact               func(value string) string // makes a value fit to be seen; nil: it is
}

func (p option) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(p.name, "-", "_"))
}

// source names the option as a person gives it.
func (p option) source() string {
	if p.variable {
		return p.env()
	}
	return "--" + p.name
}

// separator stands between the name of the option and its value.
func (p option) separator() string {
	if p.variable {
		return "="
	}
	return " "
}

// section is a part of the help text.
type section struct {
	title   string
	note    string // what is to be said of all of it
	options []option
}

const tokenNote = "A client gives its token, if one is asked for, in the header \"Authorization: Bearer TOKEN\", or, as a browser must, " +
	"by offering the WebSocket subprotocols \"bachata\" and \"bearer.TOKEN\"."

const redisNote = "As QUEUE, redis://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]...][/DB][?NAME=VALUE&...] names a server; " +
	"several hosts are a cluster, or with sentinel=NAME the Sentinels that watch NAME. rediss:// is with TLS: ca=FILE names whom to trust, " +
	"cert=FILE and key=FILE what to show, server_name=NAME what to expect. Also: prefix=TEXT of all keys, wait=N replicas before " +
	"anything is accepted, wait_timeout=2s, timeout=5s, sentinel_user=NAME, shared=1 beside nodes of the original of 2015. " +
	"A % or @ in a name or password is %25 or %40. How safe it is depends on the server: the start says what \"accepted\" means. " +
	"All of it: docs/redis.md."

// serveSections is the one list of options: parsing, help and tests are made from it.
func serveSections() []section {
	return []section{
		{title: "Who may connect", note: tokenNote, options: []option{
			{name: "listen", arg: "ADDRESS", def: "127.0.0.1:8000", set: setListen,
				help: "Address and port to serve on. Port 0 takes any free one."},
			{name: "open-channels", boolean: true, def: "on for loopback, unless tokens are asked for", set: setOpenChannels,
				help: "Let everybody who can connect use any name, by ?channel=NAME. For trying out."},
			{name: "allow-anyone-to-read-any-channel", boolean: true, def: "off",
				set:  yesOrNo(func(o *options) *bool { return &o.allowAnyone }),
				help: "Serve open channels on an address that others can reach. Whoever reaches it can read and confirm anybody's messages."},
			{name: "jwt-secret-file", arg: "FILE", set: setFile(func(o *options) *string { return &o.jwtSecretFile }),
				help: "Ask for a token (JWT) signed with this secret, by HS256. At least 32 bytes; a line end after them is left off. The token's \"sub\" is the user and the channel; at its \"exp\" the connection ends."},
			{name: "jwt-public-key-file", arg: "FILE", set: setFile(func(o *options) *string { return &o.jwtPublicKeyFile }),
				help: "Ask for a token signed with the private half of this PEM key, by RS256 (RSA key) or EdDSA (Ed25519 key)."},
			{name: "origins", arg: "ORIGIN[,ORIGIN...]", set: setOrigins,
				help: "Let pages of other hosts connect, if they have a token: https://app.example, with a port if it is not the usual one, or * for all pages."},
		}},
		{title: "Where messages are kept", options: []option{
			{name: "queue", arg: "QUEUE", def: "disk:bachata-data", set: setQueue, redact: redactQueue,
				help: "\"disk:DIR\" keeps messages in a folder, \"memory:\" until the server ends, \"redis://HOST:PORT\" on a Redis or Valkey that many servers may share (below)."},
			{name: "simple", boolean: true, def: "off", set: yesOrNo(func(o *options) *bool { return &o.simple }),
				help: "Hand each message out once: no receipts, and no recognizing of messages sent twice."},
			{name: "dedupe", arg: "DURATION", def: "1h", help: "How long a message sent again is known to be the same one. 2m to 7d.",
				set: durationBetween(func(o *options) *time.Duration { return &o.dedupe }, 2*time.Minute, 7*24*time.Hour)},
			{name: "inbox-messages", arg: "N", def: "10000", help: "How many undelivered messages a channel may hold; past it senders are refused.",
				set: countBetween(func(o *options) *int { return &o.inboxMessages }, 1, 100_000_000)},
			{name: "inbox-bytes", arg: "SIZE", def: "64MiB", help: "How many bytes of them.",
				set: sizeBetween(func(o *options) *int { return &o.inboxBytes }, 1<<10, 1<<40)},
			{name: "inbox-age", arg: "DURATION", def: "30d", help: "How long a message waits for its receiver; then both sides are told.",
				set: durationBetween(func(o *options) *time.Duration { return &o.inboxAge }, time.Minute, 3650*24*time.Hour)},
		}},
		{title: "Redis and Valkey", note: redisNote, options: []option{
			{name: "redis-password", arg: "PASSWORD", variable: true, redact: redactAll,
				set:  setPassword(func(o *options) *string { return &o.redisPassword }),
				help: "The server's password. The URL may hold it too, but others on the machine can see a command line."},
			{name: "redis-password-file", arg: "FILE", set: setFile(func(o *options) *string { return &o.redisPasswordFile }),
				help: "Read the server's password from this file; a line end after it is left off."},
			{name: "redis-sentinel-password", arg: "PASSWORD", variable: true, redact: redactAll,
				set:  setPassword(func(o *options) *string { return &o.sentinelPassword }),
				help: "The password of the Sentinels, if they have one of their own."},
			{name: "redis-sentinel-password-file", arg: "FILE", set: setFile(func(o *options) *string { return &o.sentinelPasswordFile }),
				help: "Read it from this file."},
		}},
		{title: "Limits of one connection", options: []option{
			{name: "max-message", arg: "SIZE", def: "64KiB", help: "Largest message.",
				set: sizeBetween(func(o *options) *int { return &o.maxMessage }, 1<<10, 16<<20)},
			{name: "window-messages", arg: "N", def: "1000", help: "How many messages may be on their way to a client that has not confirmed them.",
				set: countBetween(func(o *options) *int { return &o.windowMessages }, 1, 1_000_000)},
			{name: "window-bytes", arg: "SIZE", def: "4MiB", help: "How many bytes of them; one larger message goes alone.",
				set: sizeBetween(func(o *options) *int { return &o.windowBytes }, 1<<10, 1<<30)},
			{name: "compress", boolean: true, def: "off", set: yesOrNo(func(o *options) *bool { return &o.compress }),
				help: "Compress messages from 512 bytes on, for clients that can. Less traffic for more processor time."},
			{name: "portable", boolean: true, def: "off", set: yesOrNo(func(o *options) *bool { return &o.portable }),
				help: "Wait for connections as on systems other than Linux: to find out whether the poller is to blame."},
		}},
		{title: "Logging", options: []option{
			{name: "log", arg: "LEVEL[,FORMAT]", def: "info", set: setLog,
				help: "debug, info, warn, error or off; text or json, as in info,json; with json what is said at the start and the end is a line of the log too (info). Messages and tokens are never logged."},
		}},
	}
}
