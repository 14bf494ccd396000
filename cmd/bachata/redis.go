package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/redis"
)

// redisSchemes are what a URL of a Redis may begin with, before "://".
var redisSchemes = []string{"redis", "rediss", "valkey", "valkeys"}

// setRedis checks the URL of a Redis.
func setRedis(o *options, text string) error {
	if _, err := redis.ParseURL(text, nil); err != nil {
		return fmt.Errorf("can't be used: %w", err)
	}
	o.queue = queueSpec{"redis", text}
	return nil
}

// redactQueue makes the name of a queue fit to be seen: what is neither of the others may be meant as the URL of a Redis.
func redactQueue(text string) string {
	if kind, _, _ := strings.Cut(text, ":"); kind == "memory" || kind == "disk" || isPath(text) {
		return text
	}
	return redis.RedactURL(text)
}

func setPassword(field func(*options) *string) func(*options, string) error {
	return func(o *options, text string) error {
		*field(o) = text
		return nil
	}
}

func redactAll(string) string { return "***" }

// checkRedis finds passwords that have no use, or are given twice.
func (o *options) checkRedis() error {
	var r redis.Options
	if o.queue.kind == "redis" {
		r, _ = redis.ParseURL(o.queue.at, nil) // which setRedis could read
	}
	for _, p := range []struct {
		option    string // the name of its variable; the file has -file behind it
		variable  string
		inURL     string
		sentinels bool // it is theirs
	}{
		{"redis-password", o.redisPassword, r.Password, false},
		{"redis-sentinel-password", o.sentinelPassword, r.SentinelPassword, true},
	} {
		source := o.sources[p.option+"-file"]
		switch {
		case source == "":
			continue
		case o.queue.kind != "redis":
			return usagef("%s: the queue is %s, which has no password: leave it out, or name a Redis with --queue redis://HOST:PORT", source, o.queue)
		case p.sentinels && r.Sentinel == "":
			return usagef("%s: %s is without sentinel=NAME: leave the file out, or say in the URL what the Sentinels watch", source, o.sources["queue"])
		case p.variable != "":
			return usagef("%s and %s: give the password once", o.sources[p.option], source)
		case p.inURL != "":
			return usagef("%s: %s names a password already: give it once", source, o.sources["queue"])
		}
	}
	return nil
}

// redisOptions makes the options of a Redis queue, and reads the files that they name.
func redisOptions(o *options, common bachata.QueueOptions) (redis.Options, error) {
	r, err := redis.ParseURL(o.queue.at, func(name string) string {
		switch name {
		case redis.PasswordEnv:
			return o.redisPassword
		case redis.SentinelPasswordEnv:
			return o.sentinelPassword
		}
		return ""
	})
	if err != nil {
		return r, &optionError{o.sources["queue"], o.queue.String(), err}
	}
	common.Simple = common.Simple || r.Simple
	r.QueueOptions = common
	for _, f := range []struct {
		option, file string
		password     *string
	}{
		{"redis-password-file", o.redisPasswordFile, &r.Password},
		{"redis-sentinel-password-file", o.sentinelPasswordFile, &r.SentinelPassword},
	} {
		if f.file == "" {
			continue
		}
		if *f.password, err = readKey(f.file, parsePassword); err != nil {
			return r, &optionError{o.sources[f.option], f.file, err}
		}
	}
	return r, nil
}

func parsePassword(text []byte) (string, error) {
	password := string(bytes.TrimRight(text, "\r\n"))
	if password == "" {
		return "", errors.New("is empty: it should hold the password")
	}
	return password, nil
}

// openTimeout is how long a server may take at the start.
const openTimeout = 15 * time.Second

// openRedis connects to the server. Its errors say what to do.
func openRedis(ctx context.Context, o *options, common bachata.QueueOptions) (*redis.Queue, error) {
	r, err := redisOptions(o, common)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	q, err := redis.Open(ctx, r)
	if err == nil {
		return q, nil
	}
	source, where := o.sources["queue"], o.queue.String()
	if advice := redisAdvice(&r, err); advice != "" {
		return nil, fmt.Errorf("%s: %q: %s (%w)", source, where, advice, err)
	}
	return nil, fmt.Errorf("%s: %q: %w", source, where, err)
}

// redisAdvice says what to do about an error of redis.Open. A server tells in words only what is wrong.
func redisAdvice(r *redis.Options, err error) string {
	says := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(err.Error(), part) {
				return true
			}
		}
		return false
	}
	_, unknownAuthority := errors.AsType[x509.UnknownAuthorityError](err)
	_, otherHost := errors.AsType[x509.HostnameError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	_, network := errors.AsType[*net.OpError](err)
	switch {
	case r.Sentinel != "" && says("WRONGPASS", "invalid password", "NOAUTH"):
		return "the server or its Sentinels ask for another user or password: check BACHATA_REDIS_PASSWORD and the user in the URL, " +
			"for the Sentinels BACHATA_REDIS_SENTINEL_PASSWORD and sentinel_user=NAME"
	case says("WRONGPASS", "invalid password"):
		return "the server refuses this user or password: check BACHATA_REDIS_PASSWORD, --redis-password-file, and the user in the URL"
	case says("NOAUTH"):
		return "the server wants a password: give it in BACHATA_REDIS_PASSWORD or --redis-password-file"
	case says("NOPERM"):
		return "the server does not let this user do what is needed: give it the rights that docs/redis.md lists (ACL SETUSER)"
	case says("cluster support disabled", "is no cluster"):
		return "this server is no cluster: name one host, without cluster=1; or add sentinel=NAME if these are Sentinels"
	case says("it is a Sentinel"), len(r.Addresses) > 1 && says("unknown command 'CLUSTER'", "unknown command `CLUSTER`"):
		return "this is a Sentinel: add sentinel=NAME, the name of what it watches"
	case r.Sentinel != "" && says("unknown command 'SENTINEL'", "unknown command `SENTINEL`"):
		return "this is no Sentinel: name the hosts of the Sentinels, or leave sentinel=NAME out to go to this server itself"
	case says("not allowed in cluster mode"):
		return "this server is a cluster, which has database 0 only and no shared=1: leave them out"
	case says("DB index is out of range"):
		return "the server has no such database: choose another, or raise \"databases\" there"
	case says("LOADING"):
		return "the server still reads its data: try again in a while"
	case says("CLUSTERDOWN"):
		return "the cluster is not complete: look at CLUSTER INFO there"
	case unknownAuthority:
		return "no known authority has signed the server's certificate: name the one that has with ca=FILE in the URL"
	case otherHost:
		return "the server's certificate is for another host: name the host as in the certificate, or with server_name=NAME the name that stands there"
	case noTLS:
		return "the server does not speak TLS on this port: write redis:// or another port"
	case says("certificate required", "bad certificate", "unknown certificate authority"):
		return "the server asks for a certificate of ours, or does not trust the one it was shown: name it with cert=FILE and key=FILE in the URL"
	case says("EOF", "connection reset", "broken pipe") && r.TLS != nil:
		return "the server ended the connection: perhaps it does not trust the certificate of cert=FILE, or wants one"
	case r.Sentinel != "" && says("redis nil message", "No such master"):
		return fmt.Sprintf("the Sentinels know no master %q: check sentinel=NAME", r.Sentinel)
	case says("EOF", "connection reset", "broken pipe") && r.TLS == nil:
		return "the server ended the connection: does it want TLS? Then write rediss://"
	case r.TLS != nil && errors.Is(err, context.DeadlineExceeded):
		return "no server answers there with TLS: if it does not speak TLS on this port, write redis:// or another port"
	case says("unknown message type"):
		return "what answers there is no Redis: check host and port"
	case network, errors.Is(err, context.DeadlineExceeded), says("i/o timeout", "no such host"):
		return "no server can be reached there: start it, or check host, port and firewall"
	}
	return ""
}
