package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// The environment variables that hold the passwords of the server and of its sentinels, where the URL has none.
const (
	PasswordEnv         = "BACHATA_REDIS_PASSWORD"
	SentinelPasswordEnv = "BACHATA_REDIS_SENTINEL_PASSWORD"
)

// ParseURL makes Options of a URL:
//
//	redis://[user[:password]@]host[:port][,host[:port]...][/db][?option=value&...]
//
// rediss stands for TLS, valkey and valkeys for redis and rediss. The port is 6379, or 26379 with sentinel. Several hosts
// are nodes of a cluster, or sentinels. The options, each of which may stand once:
//
//	password_file=FILE  read the password from FILE, without the end of the line
//	sentinel=NAME       the hosts are sentinels that watch the master NAME
//	sentinel_user=NAME, sentinel_password=TEXT, sentinel_password_file=FILE
//	                    what the sentinels themselves ask for
//	ca=FILE             with rediss: trust the certificates in FILE (PEM) only
//	cert=FILE, key=FILE with rediss: show this certificate (PEM); the key may be in the same file
//	server_name=NAME    with rediss: what the certificates are made out to, if it is not the host
//	cluster=1           fail if it is no cluster
//	prefix=TEXT         stands before every key
//	shared=1            nodes of the original use the same server; one host, or sentinels
//	simple=1            simple mode
//	wait=N              accept when N replicas have it
//	wait_timeout=2s, timeout=5s, poll=250ms
//
// In user, password and values a character may be written as % and two hexadecimal digits; %, @, ?, / and & have to be. TLS
// holds for the sentinels too. A password that is not in the URL and in no file is read by getenv from PasswordEnv, that of
// the sentinels from SentinelPasswordEnv; getenv may be nil. No error quotes what is, or may be meant as, a password.
func ParseURL(text string, getenv func(name string) string) (Options, error) {
	p, err := cutURL(text)
	if err != nil {
		return Options{}, err
	}
	var o Options
	if p.encrypted {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if o.Username, o.Password, err = p.login(); err != nil {
		return Options{}, err
	}
	if o.DB, err = p.db(); err != nil {
		return Options{}, err
	}
	// Hosts first: if they can't be read, what follows on them may be part of a password.
	if _, err := p.addresses(""); err != nil {
		return Options{}, err
	}
	u := urlOptions{Options: &o}
	if err := u.setAll(p.query); err != nil {
		return Options{}, err
	}
	port := "6379"
	if o.Sentinel != "" {
		port = "26379"
	}
	if o.Addresses, err = p.addresses(port); err != nil {
		return Options{}, err
	}
	if len(o.Addresses) > 1 && o.Sentinel == "" {
		if o.Shared {
			return Options{}, errors.New("redis: shared=1 goes with one host, or with sentinel=NAME: " +
				"several hosts are a cluster, which nodes of the original can't use")
		}
		o.Cluster = true
	}
	if getenv != nil {
		if o.Password == "" {
			o.Password = getenv(PasswordEnv)
		}
		if o.SentinelPassword == "" && o.Sentinel != "" {
			o.SentinelPassword = getenv(SentinelPasswordEnv)
		}
	}
	if o, err = o.withDefaults(); err != nil {
		return Options{}, err
	}
	return o, nil
}

// RedactURL makes a URL for ParseURL fit to be seen: with *** for what is, or may be meant as, a user or a password. The
// text need not be a URL that can be used.
func RedactURL(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if ok = ok && isWord(scheme); !ok {
		scheme, rest = "redis", text
	}
	p, err := cutURL("redis://" + rest)
	if err == nil {
		_, err = p.addresses("")
	}
	b := strings.Builder{}
	if ok {
		b.WriteString(scheme + "://")
	}
	if err != nil {
		return b.String() + hidden
	}
	if p.hasUser {
		b.WriteString(hidden + "@")
	}
	b.WriteString(p.hosts)
	if p.path != "" {
		if _, err := p.db(); err != nil {
			p.path = hidden
		}
		b.WriteString("/" + p.path)
	}
	for i, part := range p.options() {
		b.WriteByte("?&"[min(i, 1)])
		name, _, _ := strings.Cut(part, "=")
		switch option := findOption(name); {
		case option == nil:
			b.WriteString(hidden)
		case option.secret:
			b.WriteString(name + "=" + hidden)
		default:
			b.WriteString(part)
		}
	}
	return b.String()
}

const hidden = "***"

// urlParts are the parts of a URL, as they are written.
type urlParts struct {
	encrypted bool
	hasUser   bool
	user      string
	hosts     string
	path      string
	query     string
}

func cutURL(text string) (p urlParts, err error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return p, errors.New("redis: the URL has no scheme: write redis://HOST:PORT, or rediss:// for TLS")
	}
	switch scheme {
	case "redis", "valkey":
	case "rediss", "valkeys":
		p.encrypted = true
	default:
		if !isWord(scheme) {
			scheme = hidden
		}
		return p, fmt.Errorf("redis: scheme %q, must be redis, rediss, valkey or valkeys", scheme)
	}
	// The hosts begin behind the password, which may have an @ or a / in it by mistake.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		p.user, rest, p.hasUser = rest[:at], rest[at+1:], true
	}
	if strings.ContainsRune(p.user, '?') {
		return p, errors.New("redis: the URL has a ? before an @: in a user or a password write %3F for it, in an option write %40 for the @")
	}
	rest, p.query, _ = strings.Cut(rest, "?")
	p.hosts, p.path, _ = strings.Cut(rest, "/")
	p.path = strings.TrimSuffix(p.path, "/")
	return p, nil
}

func isWord(s string) bool {
	return len(s) <= 10 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}

func (p *urlParts) login() (name, password string, err error) {
	name, password, _ = strings.Cut(p.user, ":")
	name, err = url.PathUnescape(name)
	if err == nil {
		password, err = url.PathUnescape(password)
	}
	if err != nil {
		// The error quotes what it can't read.
		return "", "", errors.New("redis: user or password in the URL has a % that begins no escape, write it as %25")
	}
	return name, password, nil
}

func (p *urlParts) db() (int, error) {
	if p.path == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(p.path, 10, 31)
	if err != nil {
		return 0, errors.New("redis: what follows on the / of the URL is no number of a database")
	}
	return int(n), nil
}

// addresses returns the hosts with their ports, for which port stands where there is none. An error names a host by its
// place only: in a URL whose @HOST was forgotten it is a user with a password.
func (p *urlParts) addresses(port string) ([]string, error) {
	var all []string
	for host := range strings.SplitSeq(p.hosts, ",") {
		bad := func(what string) error {
			return fmt.Errorf("redis: host %d of the URL %s: write HOST:PORT, or USER:PASSWORD@HOST:PORT", len(all)+1, what)
		}
		name, number := host, port
		if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
			name, number = host[:i], host[i+1:]
			if n, err := strconv.ParseUint(number, 10, 16); err != nil || n == 0 {
				return nil, bad("has no port from 1 to 65535 behind its colon")
			}
		}
		if inner, ok := strings.CutPrefix(name, "["); ok {
			inner, closed := strings.CutSuffix(inner, "]")
			if ip, err := netip.ParseAddr(inner); err != nil || !closed || !ip.Is6() {
				return nil, bad("has no IPv6 address in its brackets")
			}
			name = inner
		} else if strings.ContainsAny(name, ":[]%\\\"'<>#&=; \t\r\n") {
			return nil, bad("is no name of a host")
		}
		if name == "" {
			if p.hosts != host {
				return nil, bad("is empty")
			}
			name = "localhost"
		}
		all = append(all, net.JoinHostPort(name, number))
	}
	return all, nil
}

// options returns the parts of the query.
func (p *urlParts) options() []string {
	return slices.DeleteFunc(strings.Split(p.query, "&"), func(s string) bool { return s == "" })
}

// readSecret reads a file that holds a password.
func readSecret(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(b), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s is empty", file)
	}
	return secret, nil
}

// withoutArgs cuts off what a server repeats of a command that it does not know: of AUTH that is the password.
func withoutArgs(err error) error {
	if text, _, found := strings.Cut(err.Error(), ", with args"); found {
		return errors.New(text)
	}
	return err
}
