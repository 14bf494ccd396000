package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseURL reads where a server is and how it is used:
//
//	redis://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]]...[/DB][?NAME=VALUE&...]
//
// rediss:// encrypts the connection; valkey:// and valkeys:// are the same. Several hosts are nodes of a cluster, or with
// sentinel=NAME the sentinels that watch the master NAME. The port is 6379, of a sentinel 26379, if none is given. The
// other names are those of the fields of Options: prefix, cluster=1, shared=1, wait=N, wait-timeout=2s, timeout=5s,
// poll=250ms, sentinel-username, sentinel-password. What has a meaning in a URL is written as %XX in a password.
//
// Its errors hold nothing of the text that could be a password.
func ParseURL(text string) (Options, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	var o Options
	switch scheme {
	case "redis", "valkey":
	case "rediss", "valkeys":
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	default:
		return Options{}, errors.New("redis: URL must start with redis:// or rediss://")
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	if strings.Contains(tail, "@") && !strings.Contains(authority, "@") {
		return Options{}, errors.New("redis: URL has an @ behind the hosts, write it as %40; and / ? # in a password as %2F %3F %23")
	}
	if strings.Contains(tail, "#") {
		return Options{}, errors.New("redis: URL has a #, write it as %23")
	}
	path, query, _ := strings.Cut(tail, "?")
	if err := o.setQuery(query); err != nil {
		return Options{}, err
	}
	hosts := authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		hosts = authority[at+1:]
		if err := o.setUser(authority[:at]); err != nil {
			return Options{}, err
		}
	}
	if err := o.setHosts(hosts); err != nil {
		return Options{}, err
	}
	if db := strings.TrimPrefix(path, "/"); db != "" {
		n, err := strconv.ParseUint(db, 10, 16)
		if err != nil {
			return Options{}, errors.New("redis: URL has a path that is no number of a database, like /0")
		}
		o.DB = int(n)
	}
	_, err := o.withDefaults()
	if err != nil {
		return Options{}, err
	}
	return o, nil
}

func (o *Options) setUser(text string) error {
	username, password, _ := strings.Cut(text, ":")
	var err, err2 error
	o.Username, err = url.PathUnescape(username)
	o.Password, err2 = url.PathUnescape(password)
	if err != nil || err2 != nil {
		return errors.New("redis: URL has a user or password with a % that begins no code, write it as %25")
	}
	return nil
}

func (o *Options) setHosts(text string) error {
	port := "6379"
	if o.Sentinel != "" {
		port = "26379"
	}
	for _, host := range strings.Split(text, ",") {
		address := host
		if bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"); !strings.Contains(host, ":") || len(bare) == len(host)-2 {
			address = net.JoinHostPort(bare, port)
		}
		name, number, err := net.SplitHostPort(address)
		if _, err2 := strconv.ParseUint(number, 10, 16); err != nil || err2 != nil || name == "" || strings.ContainsAny(name, " \t\r\n%\x00") {
			return errors.New("redis: URL has a host that is none, write redis://HOST:PORT or redis://USER:PASSWORD@HOST:PORT")
		}
		o.Addresses = append(o.Addresses, address)
	}
	if len(o.Addresses) > 1 && o.Sentinel == "" {
		o.Cluster = true
	}
	return nil
}

// setQuery reads NAME=VALUE pairs.
func (o *Options) setQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("redis: URL has something behind its ? that is not NAME=VALUE&NAME=VALUE, with %25 for a %")
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if len(values[name]) > 1 {
			return fmt.Errorf("redis: URL has %q twice", name)
		}
		if err := o.set(name, values[name][0]); err != nil {
			return err
		}
	}
	return nil
}

func (o *Options) set(name, value string) error {
	var err error
	must := ""
	switch name {
	case "prefix":
		o.Prefix = value
	case "sentinel":
		o.Sentinel = value
	case "sentinel-username":
		o.SentinelUsername = value
	case "sentinel-password":
		o.SentinelPassword = value
	case "cluster":
		o.Cluster, err = strconv.ParseBool(value)
		must = "0 or 1"
	case "shared":
		o.Shared, err = strconv.ParseBool(value)
		must = "0 or 1"
	case "wait":
		o.Wait, err = strconv.Atoi(value)
		must = "a number of replicas"
	case "wait-timeout":
		o.WaitTimeout, err = time.ParseDuration(value)
		must = "a duration like 2s"
	case "timeout":
		o.Timeout, err = time.ParseDuration(value)
		must = "a duration like 5s"
	case "poll":
		o.PollEvery, err = time.ParseDuration(value)
		must = "a duration like 250ms"
	default:
		return errors.New("redis: URL has a name behind its ? that is none of prefix, sentinel, sentinel-username, " +
			"sentinel-password, cluster, shared, wait, wait-timeout, timeout and poll")
	}
	if err != nil {
		return fmt.Errorf("redis: URL has %s=%q, must be %s", name, value, must)
	}
	return nil
}

// Redact returns a URL for people to see: with *** for what is, or may be meant as, a user or a password. The text need
// not be one that ParseURL takes.
func Redact(text string) string {
	start := 0
	if i := strings.Index(text, "://"); i >= 0 {
		start = i + len("://")
	}
	lead, rest := text[:start], text[start:]
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = "***" + rest[at:]
	} else if o, err := ParseURL(text); err != nil || len(o.Addresses) == 0 {
		// Perhaps the @HOST was forgotten, and all that is there is secret.
		return lead + "***"
	}
	const secret = "sentinel-password="
	for i := 0; ; {
		n := strings.Index(rest[i:], secret)
		if n < 0 {
			return lead + rest
		}
		i += n + len(secret)
		end := strings.IndexByte(rest[i:], '&')
		if end < 0 {
			end = len(rest) - i
		}
		rest = rest[:i] + "***" + rest[i+end:]
	}
}
