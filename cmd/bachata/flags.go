package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// envPrefix starts the name of each variable that stands for a flag: BACHATA_MAX_MESSAGE for --max-message.
const envPrefix = "BACHATA_"

// options are what `bachata serve` can be told.
type options struct {
	listen           string
	openChannels     openChannelsMode
	allowAnyone      bool
	jwtSecretFile    string
	jwtPublicKeyFile string

	queue         queueSpec
	simple        bool
	dedupe        time.Duration
	inboxMessages int
	inboxBytes    int
	inboxAge      time.Duration

	maxMessage     int
	windowMessages int
	windowBytes    int

	log logSpec

	sources map[string]string // where an option came from, by its name: "--listen" or "BACHATA_LISTEN"
	ignored []string          // variables that begin like ours and name no option
}

// openChannelsMode says whether a client may name its channel itself.
type openChannelsMode uint8

const (
	openByDefault openChannelsMode = iota // on, unless tokens are asked for
	openOn
	openOff
)

// queueSpec says which queue keeps the messages.
type queueSpec struct {
	kind string // "memory" or "disk"
	dir  string // of a disk queue
}

// String returns the spec as --queue takes it.
func (q queueSpec) String() string { return q.kind + ":" + q.dir }

// option is one flag of `bachata serve`, and the variable that stands for it.
type option struct {
	name, arg, def, help string
	boolean              bool // may stand without a value
	set                  func(o *options, value string) error
}

func (p option) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(p.name, "-", "_"))
}

// section is a part of the help text.
type section struct {
	title   string
	options []option
}

// serveSections is the one list of options: parsing, help and tests are made from it.
func serveSections() []section {
	return []section{
		{"Who may connect", []option{
			{name: "listen", arg: "ADDRESS", def: "127.0.0.1:8000", set: setListen,
				help: "Address and port to serve on. Port 0 takes any free one."},
			{name: "open-channels", boolean: true, def: "on for loopback, unless tokens are asked for", set: setOpenChannels,
				help: "Let everybody who can connect use any name, by ?channel=NAME. For trying out."},
			{name: "allow-anyone-to-read-any-channel", boolean: true, def: "off",
				set:  yesOrNo(func(o *options) *bool { return &o.allowAnyone }),
				help: "Serve open channels on an address that others can reach. Whoever reaches it can read and confirm anybody's messages."},
			{name: "jwt-secret-file", arg: "FILE", set: setFile(func(o *options) *string { return &o.jwtSecretFile }),
				help: "Ask for a token (JWT) signed with this secret, by HS256. At least 32 bytes; a line end after them is left off. The token's \"sub\" is the user and the channel."},
			{name: "jwt-public-key-file", arg: "FILE", set: setFile(func(o *options) *string { return &o.jwtPublicKeyFile }),
				help: "Ask for a token signed with the private half of this PEM key, by RS256 (RSA key) or EdDSA (Ed25519 key)."},
		}},
		{"Where messages are kept", []option{
			{name: "queue", arg: "QUEUE", def: "disk:bachata-data", set: setQueue,
				help: "\"disk:DIR\" keeps messages in a folder, \"memory:\" until the server ends."},
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
		{"Limits of one connection", []option{
			{name: "max-message", arg: "SIZE", def: "64KiB", help: "Largest message.",
				set: sizeBetween(func(o *options) *int { return &o.maxMessage }, 1<<10, 16<<20)},
			{name: "window-messages", arg: "N", def: "1000", help: "How many messages may be on their way to a client that has not confirmed them.",
				set: countBetween(func(o *options) *int { return &o.windowMessages }, 1, 1_000_000)},
			{name: "window-bytes", arg: "SIZE", def: "4MiB", help: "How many bytes of them; one larger message goes alone.",
				set: sizeBetween(func(o *options) *int { return &o.windowBytes }, 1<<10, 1<<30)},
		}},
		{"Logging", []option{
			{name: "log", arg: "LEVEL[,FORMAT]", def: "info", set: setLog,
				help: "debug, info, warn, error or off; text or json, as in info,json. Messages and tokens are never logged."},
		}},
	}
}

// optionError says which flag or variable has a value that can't be used.
type optionError struct {
	source string // "--listen" or "BACHATA_LISTEN"
	value  string
	err    error
}

func (e *optionError) Error() string { return fmt.Sprintf("%s: %q %v", e.source, e.value, e.err) }
func (e *optionError) Unwrap() error { return e.err }

// usageError is a mistake in the command line that is not a value's.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

var errHelp = errors.New("help asked for")

// parseOptions reads the options of `bachata serve`: a flag wins over its variable, and that over the default. environ
// holds "NAME=value" strings, as os.Environ gives them; an empty variable counts as not set.
func parseOptions(args, environ []string) (options, error) {
	var all []option
	for _, s := range serveSections() {
		all = append(all, s.options...)
	}
	given, err := splitArgs(args, all)
	if err != nil {
		return options{}, err
	}
	vars := variables(environ)
	o := options{sources: make(map[string]string)}
	for _, p := range all {
		source, value := "--"+p.name, ""
		if v, ok := given[p.name]; ok {
			value = v
		} else if v := vars[p.env()]; v != "" {
			source, value = p.env(), v
		} else if p.def == "" || p.boolean {
			continue
		} else {
			value = p.def
		}
		if err := p.set(&o, value); err != nil {
			return options{}, &optionError{source, value, err}
		}
		o.sources[p.name] = source
	}
	for name := range vars {
		if !slices.ContainsFunc(all, func(p option) bool { return p.env() == name }) {
			o.ignored = append(o.ignored, name)
		}
	}
	slices.Sort(o.ignored)
	return o, o.check()
}

// check finds options that do not go together.
func (o *options) check() error {
	tokens := o.jwtSecretFile != "" || o.jwtPublicKeyFile != ""
	switch {
	case o.jwtSecretFile != "" && o.jwtPublicKeyFile != "":
		return usagef("%s and %s: give one of the two, the kind of key fixes the algorithm",
			o.sources["jwt-secret-file"], o.sources["jwt-public-key-file"])
	case tokens && o.openChannels == openOn:
		return usagef("%s together with a key for tokens: leave one out, open channels ask for no token", o.sources["open-channels"])
	case tokens && o.allowAnyone:
		return usagef("%s together with a key for tokens: leave one out, with tokens nobody reads another's channel",
			o.sources["allow-anyone-to-read-any-channel"])
	case o.maxMessage > o.inboxBytes:
		return usagef("%s: %s is less than the largest message (%s): such a message would fit no inbox",
			o.sources["inbox-bytes"], formatSize(int64(o.inboxBytes)), formatSize(int64(o.maxMessage)))
	case tokens:
		return nil
	case o.openChannels == openOff:
		return usagef("%s is off, so nobody can connect: ask for tokens with --jwt-secret-file or --jwt-public-key-file",
			o.sources["open-channels"])
	case !o.allowAnyone && !isLoopback(o.listen):
		return usagef(reachable, o.sources["listen"], o.listen)
	}
	return nil
}

// reachable is said when open channels would be served to others.
const reachable = `%s: others can reach %q, and without tokens everybody could read everybody's messages.
Do one of these:
  serve this machine only           --listen 127.0.0.1:8000
  ask for tokens                    --jwt-secret-file FILE, or --jwt-public-key-file FILE
  accept that nothing is private    --allow-anyone-to-read-any-channel`

// splitArgs turns "--name value", "--name=value" and "--name" (of a boolean) into a map of values by name.
func splitArgs(args []string, all []option) (map[string]string, error) {
	given := make(map[string]string)
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "-h" || arg == "-help" || arg == "--help" {
			return nil, errHelp
		}
		text, isFlag := strings.CutPrefix(arg, "-")
		if !isFlag {
			return nil, usagef("%q is not expected here: every option starts with \"--\"", arg)
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(text, "-"), "=")
		i := slices.IndexFunc(all, func(p option) bool { return p.name == name })
		if i < 0 {
			return nil, usagef("unknown option %q%s", "--"+name, didYouMean(name, all))
		}
		if _, twice := given[name]; twice {
			return nil, usagef("--%s is given twice", name)
		}
		switch {
		case hasValue:
		case all[i].boolean:
			value = "true"
		case len(args) == 0:
			return nil, usagef("--%s needs a value: --%s %s", name, name, all[i].arg)
		default:
			value, args = args[0], args[1:]
		}
		given[name] = value
	}
	return given, nil
}

// variables picks our own out of an environment.
func variables(environ []string) map[string]string {
	vars := make(map[string]string)
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		// Kubernetes sets NAME_SERVICE_... and NAME_PORT... for a service that is called bachata.
		if strings.HasPrefix(name, envPrefix) && value != "" && !strings.HasPrefix(name, envPrefix+"SERVICE_") &&
			!strings.HasPrefix(name, envPrefix+"PORT") {
			vars[name] = value
		}
	}
	return vars
}

func setListen(o *options, text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return errors.New("is not an address with a port, like 127.0.0.1:8000 or [::1]:8000")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("has no port from 0 to 65535 at its end")
	} else if strings.ContainsAny(host, " \t\r\n/\\\"") {
		return fmt.Errorf("has a host that is none before port %d", n)
	}
	o.listen = text
	return nil
}

func setOpenChannels(o *options, text string) error {
	var on bool
	if err := yesOrNo(func(*options) *bool { return &on })(o, text); err != nil {
		return err
	}
	o.openChannels = openOff
	if on {
		o.openChannels = openOn
	}
	return nil
}

func setQueue(o *options, text string) error {
	kind, dir, _ := strings.Cut(text, ":")
	switch {
	case kind == "memory" && dir == "":
	case kind == "disk" && dir != "" && !strings.ContainsRune(dir, 0):
	case kind == "disk":
		return errors.New("names no folder: write disk:DIR")
	default:
		return errors.New("is no queue: write memory: or disk:DIR")
	}
	o.queue = queueSpec{kind, dir}
	return nil
}

func setFile(field func(*options) *string) func(*options, string) error {
	return func(o *options, text string) error {
		if text == "" {
			return errors.New("names no file")
		}
		*field(o) = text
		return nil
	}
}

// isLoopback reports whether only this machine can reach address, as far as its text says; the address that was really
// taken is looked at again after listening.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && isLoopbackHost(host)
}

func isLoopbackHost(host string) bool {
	host = strings.ToLower(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
