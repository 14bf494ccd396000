package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// PasswordEnv is the environment variable that holds the password, where the URL has none.
const PasswordEnv = "BACHATA_REDIS_PASSWORD"

// ParseURL makes Options of a URL:
//
//	redis://[user[:password]@]host[:port][,host[:port]...][/db][?option=value&...]
//
// rediss stands for TLS, valkey and valkeys for redis and rediss. The port is 6379, or 26379 with sentinel. Several hosts
// are nodes of a cluster, or sentinels. The options:
//
//	sentinel=NAME       the hosts are sentinels that watch the master NAME
//	cluster=1           fail if it is no cluster
//	password_file=FILE  read the password from FILE, without the end of the line
//	ca=FILE             trust the certificates in FILE (PEM) only
//	prefix=TEXT         stands before every key
//	shared=1            nodes of the original use the same server
//	simple=1            simple mode
//	wait=N              accept when N replicas have it
//	wait_timeout=2s, timeout=5s, poll=250ms
//
// A password that is not in the URL and in no file is read by getenv from PasswordEnv; getenv may be nil. No error quotes
// the password.
func ParseURL(text string, getenv func(name string) string) (Options, error) {
	var o Options
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return o, errors.New("redis: the URL has no scheme: it begins with redis:// or rediss://")
	}
	encrypted := false
	switch scheme {
	case "redis", "valkey":
	case "rediss", "valkeys":
		encrypted = true
	default:
		return o, fmt.Errorf("redis: scheme %q, must be redis, rediss, valkey or valkeys", scheme)
	}
	rest, query, _ := strings.Cut(rest, "?")
	// The path begins behind the password, which may have a slash in it by mistake.
	hosts, user := rest, ""
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, hosts = rest[:at], rest[at+1:]
	}
	hosts, path, _ := strings.Cut(hosts, "/")
	if err := o.setUser(user); err != nil {
		return Options{}, err
	}
	if path = strings.TrimSuffix(path, "/"); path != "" {
		db, err := strconv.Atoi(path)
		if err != nil || db < 0 {
			return Options{}, fmt.Errorf("redis: the URL's path %q is no number of a database", path)
		}
		o.DB = db
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return Options{}, errors.New("redis: what follows on the ? of the URL can't be read")
	}
	if encrypted {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	for name, v := range values {
		if err := o.setOption(name, v[len(v)-1]); err != nil {
			return Options{}, err
		}
	}
	if err := o.setHosts(hosts); err != nil {
		return Options{}, err
	}
	if o.Password == "" && getenv != nil {
		o.Password = getenv(PasswordEnv)
	}
	if o, err = o.withDefaults(); err != nil {
		return Options{}, err
	}
	return o, nil
}

func (o *Options) setUser(user string) error {
	if user == "" {
		return nil
	}
	name, password, _ := strings.Cut(user, ":")
	var err, err2 error
	o.Username, err = url.PathUnescape(name)
	o.Password, err2 = url.PathUnescape(password)
	if err != nil || err2 != nil {
		return errors.New("redis: user or password in the URL has a % that begins no escape, write it as %25")
	}
	return nil
}

func (o *Options) setHosts(hosts string) error {
	port := "6379"
	if o.Sentinel != "" {
		port = "26379"
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if host == "" && hosts != "" {
			return errors.New("redis: the URL's list of hosts has an empty one")
		}
		h, p, err := net.SplitHostPort(host)
		if err != nil {
			h, p = strings.Trim(host, "[]"), port
		}
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 || h == "" && len(host) > 0 && host[0] != ':' {
			return fmt.Errorf("redis: %q is no host:port", host)
		}
		if h == "" {
			h = "localhost"
		}
		o.Addresses = append(o.Addresses, net.JoinHostPort(h, p))
	}
	return nil
}

func (o *Options) setOption(name, value string) (err error) {
	boolean := func(v *bool) {
		switch value {
		case "1", "true", "":
			*v = true
		case "0", "false":
			*v = false
		default:
			err = fmt.Errorf("redis: option %s is %q, must be 1 or 0", name, value)
		}
	}
	duration := func(v *time.Duration) {
		if *v, err = time.ParseDuration(value); err != nil || *v <= 0 {
			err = fmt.Errorf("redis: option %s is %q, must be a time such as 2s", name, value)
		}
	}
	switch name {
	case "sentinel":
		o.Sentinel = value
	case "prefix":
		o.Prefix = value
	case "cluster":
		boolean(&o.Cluster)
	case "shared":
		boolean(&o.Shared)
	case "simple":
		boolean(&o.Simple)
	case "wait":
		if o.Wait, err = strconv.Atoi(value); err != nil || o.Wait < 0 {
			err = fmt.Errorf("redis: option wait is %q, must be a number of replicas", value)
		}
	case "wait_timeout":
		duration(&o.WaitTimeout)
	case "timeout":
		duration(&o.Timeout)
	case "poll":
		duration(&o.PollEvery)
	case "password_file":
		var b []byte
		if b, err = os.ReadFile(value); err != nil {
			return fmt.Errorf("redis: read password: %w", err)
		}
		o.Password = strings.TrimRight(string(b), "\r\n")
	case "ca":
		return o.setCA(value)
	default:
		err = fmt.Errorf("redis: the URL has an unknown option %q", name)
	}
	return err
}

func (o *Options) setCA(file string) error {
	if o.TLS == nil {
		return errors.New("redis: option ca needs rediss://")
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("redis: read certificates: %w", err)
	}
	o.TLS.RootCAs = x509.NewCertPool()
	if !o.TLS.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("redis: %s has no certificate in PEM", file)
	}
	return nil
}
