package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bachata-go/bachata/redis"
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

	redisPassword        string
	redisPasswordFile    string
	sentinelPassword     string
	sentinelPasswordFile string

	origins []string

	maxMessage     int
	windowMessages int
	windowBytes    int
	compress       bool
	portable       bool

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
	kind string // "memory", "disk" or "redis"
	at   string // the folder of a disk queue, the URL of a Redis
}

// String returns the spec as --queue takes it, with *** for a password.
func (q queueSpec) String() string {
	if q.kind == "redis" {
		return redis.RedactURL(q.at)
	}
	return q.kind + ":" + q.at
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
		source, value := p.source(), ""
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
			if p.redact != nil {
				value = p.redact(value)
			}
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
	case !tokens && len(o.origins) > 0:
		return usagef("%s without a key for tokens: a page there could use any name. Add --jwt-secret-file or --jwt-public-key-file",
			o.sources["origins"])
	case o.maxMessage > o.inboxBytes:
		return usagef("%s: %s is less than the largest message (%s): such a message would fit no inbox",
			o.sources["inbox-bytes"], formatSize(int64(o.inboxBytes)), formatSize(int64(o.maxMessage)))
	}
	if err := o.checkRedis(); err != nil {
		return err
	}
	switch {
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
		if i >= 0 && all[i].variable {
			return nil, usagef("--%s is no option, others on this machine could see it: set %s", name, all[i].env())
		}
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
		// Kubernetes sets NAME_SERVICE_..., NAME_PORT and NAME_PORT_... for a service that is called bachata.
		if strings.HasPrefix(name, envPrefix) && value != "" && !strings.HasPrefix(name, envPrefix+"SERVICE_") &&
			name != envPrefix+"PORT" && !strings.HasPrefix(name, envPrefix+"PORT_") {
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

func setOrigins(o *options, text string) error {
	for origin := range strings.SplitSeq(text, ",") {
		origin = strings.TrimSpace(origin)
		u, err := url.Parse(origin)
		if origin != "*" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || origin != u.Scheme+"://"+u.Host ||
			strings.Contains(u.Host, "*")) {
			return errors.New("is no list of origins like https://app.example,http://localhost:3000, nor *")
		}
		o.origins = append(o.origins, origin)
	}
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
	kind, at, _ := strings.Cut(text, ":")
	switch {
	case kind == "memory" && at == "":
	case kind == "disk" && at != "" && !strings.ContainsRune(at, 0):
	case kind == "disk":
		return errors.New("names no folder: write disk:DIR")
	case slices.Contains(redisSchemes, kind):
		return setRedis(o, text)
	case isPath(text):
		return fmt.Errorf("is no queue: write disk:%s for the folder", text)
	default:
		return errors.New("is no queue: write memory:, disk:DIR or redis://HOST:PORT")
	}
	o.queue = queueSpec{kind, at}
	return nil
}

// isPath reports whether text is meant as a folder, and as nothing that could hold a password.
func isPath(text string) bool {
	return (strings.HasPrefix(text, "/") || strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../")) && !strings.ContainsAny(text, ":@")
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
